package io.valetkey.broker.lease;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the lease protocol takes for granted about Vault. Invariants: L1, L4. */
@NeedsVault
class OwnerTokenTest {

  /**
   * Why the reaper leaves the owner token of a lease alone while its credential may be in the
   * making: Vault would end the token and keep the credential.
   */
  @Test
  void ownerTokenThatEndsWhileItsCredentialIsMade_doesNotTakeItAlong() throws Exception {
    try (RealVault vault = RealVault.startOwn();
        OrdersDatabase orders = new OrdersDatabase()) {
      orders.configure(vault);
      LeaseWorld.brokerToken(vault);
      vault.send(
          "POST",
          "database/roles/orders-ro",
          Map.of(
              "db_name",
              "orders",
              "creation_statements",
              OrdersDatabase.template("creation") + "SELECT pg_sleep(3);",
              "revocation_statements",
              OrdersDatabase.template("revocation"),
              "default_ttl",
              "1h"));
      JsonNode owner =
          vault
              .send(
                  "POST",
                  "auth/token/create/valetkey-lease",
                  Map.of("policies", List.of("valetkey-lease-database-orders-ro"), "ttl", "60s"))
              .path("auth");
      CompletableFuture<HttpResponse<String>> making =
          HttpClient.newHttpClient()
              .sendAsync(
                  HttpRequest.newBuilder(URI.create(vault.uri() + "/v1/database/creds/orders-ro"))
                      .header("X-Vault-Token", owner.path("client_token").asString())
                      .GET()
                      .build(),
                  BodyHandlers.ofString());
      Thread.sleep(1000);
      vault.send(
          "POST",
          "auth/token/revoke-accessor",
          Map.of("accessor", owner.path("accessor").asString()));

      HttpResponse<String> answer = making.get();

      assertThat(answer.statusCode()).isEqualTo(200);
      Thread.sleep(3000);
      assertThat(orders.dynamicRoles()).hasSize(1);
      String lease = JsonMapper.shared().readTree(answer.body()).path("lease_id").asString();
      vault.send("POST", "sys/leases/revoke", Map.of("lease_id", lease, "sync", true));
      assertThat(orders.dynamicRoles()).isEmpty();
    }
  }
}
