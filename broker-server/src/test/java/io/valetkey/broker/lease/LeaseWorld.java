package io.valetkey.broker.lease;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Real Vault, real target, and a broker's settings and policy for leasing from them. */
public final class LeaseWorld {

  public static final TestIssuer ISSUER = new TestIssuer("ci");

  private static final HttpClient HTTP =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  private LeaseWorld() {}

  /** What Vault needs to know of a broker that leases, as the documentation says. */
  public static String brokerToken(RealVault vault) {
    try {
      vault.policy(
          "valetkey-broker",
          Files.readString(Path.of("../docs/reference/vault-policy-leases.hcl")));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    vault.policy(
        "valetkey-lease-database-orders-ro",
        "path \"database/creds/orders-ro\" { capabilities = [\"read\"] }");
    vault.policy(
        "valetkey-lease-database-orders-app",
        "path \"database/static-creds/orders-app\" { capabilities = [\"read\"] }");
    vault.send(
        "POST",
        "auth/token/roles/valetkey-lease",
        Map.of(
            "allowed_policies_glob",
            List.of("valetkey-lease-*"),
            "orphan",
            true,
            "renewable",
            true,
            "token_no_default_policy",
            true));
    return vault.createToken("valetkey-broker", Duration.ofHours(2));
  }

  /** The settings of a broker that leases from this Vault. */
  public static Map<String, String> settings(String vaultUri, String token) {
    return Map.of(
        "valetkey.vault.uri", vaultUri,
        "valetkey.vault.token", token,
        "valetkey.issuance.tokens-per-minute", "10000000");
  }

  /** One agent that may lease logins of the orders database. */
  public static void policy(RunningBroker broker, String origin, String terms) throws Exception {
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", ISSUER.name(), "bot-subject", "")
        .agent("other", ISSUER.name(), "other-subject", "")
        .destination("orders-db", destination(origin, "orders-ro", ""))
        .scope("orders-db", "read", "{\"lease\":" + terms + "}")
        .grant("bot-orders", "bot", "orders-db", List.of("read"))
        .grant("other-orders", "other", "orders-db", List.of("read"))
        .await(broker);
  }

  public static String destination(String origin, String role, String more) {
    return """
    {"kind":"lease","origin":"%s","credential":{"source":"vault-dynamic","mount":"database","role":"%s"%s}}\
    """
        .formatted(origin, role, more);
  }

  /** An answer of the broker. */
  public record Answer(int status, JsonNode body) {

    public String id() {
      return body.path("id").asString();
    }

    public String username() {
      return body.path("credential").path("username").asString();
    }

    public String password() {
      return body.path("credential").path("password").asString();
    }

    public String code() {
      return body.path("code").asString("");
    }

    public String state() {
      return body.path("state").asString("");
    }
  }

  public static String token(String brokerUrl, String subject, String destination)
      throws Exception {
    String form =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
            + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience="
            + destination
            + "&subject_token="
            + URLEncoder.encode(ISSUER.token(subject, brokerUrl), StandardCharsets.UTF_8);
    HttpResponse<String> response =
        HTTP.send(
            HttpRequest.newBuilder(URI.create(brokerUrl + "/oauth2/token"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(form))
                .build(),
            BodyHandlers.ofString());
    JsonNode body = JsonMapper.shared().readTree(response.body());
    if (!body.has("access_token")) {
      throw new AssertionError(response.body());
    }
    return body.path("access_token").asString();
  }

  public static Answer lease(String brokerUrl, String token, @Nullable String key)
      throws Exception {
    return lease(brokerUrl, token, key, "{\"destination\":\"orders-db\"}");
  }

  public static Answer lease(String brokerUrl, String token, @Nullable String key, String body)
      throws Exception {
    return key == null
        ? send("POST", brokerUrl + "/v1/leases", token, body)
        : send("POST", brokerUrl + "/v1/leases", token, body, "Idempotency-Key", key);
  }

  public static Answer send(
      String method, String url, String token, @Nullable String body, String... headers)
      throws Exception {
    var request =
        HttpRequest.newBuilder(URI.create(url))
            .timeout(Duration.ofSeconds(30))
            .header("Authorization", "Bearer " + token)
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
    if (body != null) {
      request.header("Content-Type", "application/json");
    }
    for (int i = 0; i < headers.length; i += 2) {
      request.setHeader(headers[i], headers[i + 1]);
    }
    HttpResponse<String> response = HTTP.send(request.build(), BodyHandlers.ofString());
    return new Answer(
        response.statusCode(),
        response.body().isEmpty()
            ? JsonMapper.shared().createObjectNode()
            : JsonMapper.shared().readTree(response.body()));
  }

  /** Waits for something that must become true within a bound. */
  public static void await(String what, Duration bound, BooleanSupplier condition) {
    long end = System.nanoTime() + bound.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - end > 0) {
        throw new AssertionError("not within " + bound + ": " + what);
      }
      try {
        Thread.sleep(20);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
