package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jwt.JWTClaimsSet;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A destination without any stored key: its provider believes our issuer, which it knows by
 * discovery alone, and gives short tokens for what a key in a real Vault signed. Invariant: C8.
 */
@NeedsVault
class FederationTest {

  @TempDir private Path folder;
  private final TestIssuer issuer = new TestIssuer("ci");
  private final List<JWTClaimsSet> believed = new CopyOnWriteArrayList<>();
  private final List<Map<String, String>> asked = new CopyOnWriteArrayList<>();
  private final List<String> reached = new CopyOnWriteArrayList<>();
  private final AtomicInteger tokens = new AtomicInteger();
  private volatile String trusted = "";
  private RealVault vault;
  private HttpsServer provider;
  private RunningBroker broker;

  @BeforeEach
  void start() throws Exception {
    vault = FederationTrust.vault();
    TestAuthority authority = TestAuthority.create("providers");
    provider = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    provider.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    provider.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    provider.createContext("/token", this::token);
    provider.createContext("/v1/", this::api);
    provider.start();
    broker =
        RunningBroker.start(FederationTrust.settings(vault, authority.writePem(folder).toString()));
    trusted = broker.url() + "/federation";
  }

  @AfterEach
  void stop() {
    broker.close();
    provider.stop(0);
    vault.close();
  }

  /** A provider that knows nothing of us but the address of an issuer that it trusts. */
  private void token(HttpExchange exchange) throws IOException {
    Map<String, String> form =
        FederationTrust.form(
            new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.US_ASCII));
    asked.add(form);
    try {
      believed.add(verify(form));
      answer(
          exchange,
          200,
          "{\"access_token\":\"canary-token-%d\",\"token_type\":\"Bearer\",\"expires_in\":600}"
              .formatted(tokens.incrementAndGet()));
    } catch (Exception e) {
      answer(exchange, 400, "{\"error\":\"invalid_grant\"}");
    }
  }

  private JWTClaimsSet verify(Map<String, String> form) throws Exception {
    String assertion =
        form.getOrDefault(
            "assertion", form.getOrDefault("subject_token", form.get("client_assertion")));
    return FederationTrust.verify(
        trusted,
        assertion,
        Set.of(JWSAlgorithm.RS256, JWSAlgorithm.ES256),
        "https://provider.test",
        new JWTClaimsSet.Builder().issuer(trusted).build(),
        Set.of("sub", "exp", "iat", "jti"));
  }

  private void api(HttpExchange exchange) throws IOException {
    reached.add(exchange.getRequestHeaders().getFirst("Authorization"));
    answer(exchange, 200, "{}");
  }

  private static void answer(HttpExchange exchange, int status, String body) throws IOException {
    FederationTrust.answer(exchange, status, "application/json", body);
  }

  private static HttpResponse<String> get(URI uri, String token) throws Exception {
    var request = HttpRequest.newBuilder(uri);
    if (token != null) {
      request.header("Authorization", "Bearer " + token);
    }
    return HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofString());
  }

  private String policy(String grant, String more) throws Exception {
    String origin = "https://localhost:" + provider.getAddress().getPort();
    new Policies(broker)
        .issuer(issuer)
        .agent("bot", "ci", "bot", "")
        .destination(
            "openai",
            """
            {"kind":"http","origin":"%s","credential":{"source":"federated","grant":"%s",
             "tokenEndpoint":"%s/token","subject":"stores/reader",
             "audience":"https://provider.test","scope":"read"%s}}
            """
                .formatted(origin, grant, origin, more))
        .scope("openai", "all", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/v1/**\"]}]}")
        .grant("bot-openai", "bot", "openai", List.of("all"))
        .await(broker);
    return fresh();
  }

  private String fresh() throws Exception {
    return Tokens.ask(broker.url(), Tokens.exchange(issuer.token("bot", broker.url()))).token();
  }

  private HttpResponse<String> use(String token) throws Exception {
    return get(URI.create(broker.gatewayUrl() + "/d/openai/v1/x"), token);
  }

  @Test
  void assertion_isBelievedByDiscoveryAlone_andItsTokenIsKeptUntilAStop() throws Exception {
    String token = policy("jwt_bearer", "");
    assertThat(use(token).statusCode()).isEqualTo(200);
    assertThat(use(token).statusCode()).isEqualTo(200);
    assertThat(reached).containsExactly("Bearer canary-token-1", "Bearer canary-token-1");
    assertThat(believed).hasSize(1);
    JWTClaimsSet claims = believed.getFirst();
    assertThat(claims.getSubject()).isEqualTo("stores/reader");
    assertThat(claims.getAudience()).containsExactly("https://provider.test");
    assertThat(
            Duration.between(
                claims.getIssueTime().toInstant(), claims.getExpirationTime().toInstant()))
        .isEqualTo(Duration.ofMinutes(5));
    assertThat(asked.getFirst()).containsOnlyKeys("grant_type", "assertion", "scope");

    StopStage.awaitAcknowledged(broker, StopStage.order(broker, "{\"agent\":\"other\"}"));
    assertThat(use(token).statusCode()).isEqualTo(200);
    assertThat(reached.getLast()).isEqualTo("Bearer canary-token-2");
  }

  @Test
  void assertion_isHandedInAsAProviderWantsIt() throws Exception {
    assertThat(
            use(policy(
                    "token_exchange",
                    ",\"parameters\":{\"audience\":\"//provider.test/pool\",\"options\":\"a b\"}"))
                .statusCode())
        .isEqualTo(200);
    assertThat(asked.getLast())
        .containsEntry("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .containsEntry("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
        .containsEntry("audience", "//provider.test/pool")
        .containsEntry("options", "a b");
  }

  @Test
  void assertion_authenticatesAClient() throws Exception {
    assertThat(use(policy("client_assertion", ",\"clientId\":\"app-1\"")).statusCode())
        .isEqualTo(200);
    assertThat(asked.getLast())
        .containsEntry("grant_type", "client_credentials")
        .containsEntry("client_id", "app-1")
        .containsEntry(
            "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  }

  /** Whoever can have assertions signed gets nothing here with them. */
  @Test
  void assertion_isNoAccessTokenAndNoIdentity() throws Exception {
    String token = policy("jwt_bearer", "");
    assertThat(use(token).statusCode()).isEqualTo(200);
    String assertion = asked.getFirst().get("assertion");
    assertThat(use(assertion).statusCode()).isEqualTo(401);
    assertThat(Tokens.ask(broker.url(), Tokens.exchange(assertion)).hasToken()).isFalse();
    String ours = get(URI.create(broker.url() + "/oauth2/jwks"), null).body();
    JsonNode federation =
        JsonMapper.shared().readTree(get(URI.create(trusted + "/jwks"), null).body());
    assertThat(federation.path("keys").size()).isOne();
    assertThat(ours).doesNotContain(federation.path("keys").get(0).path("kid").asString());
  }

  @Test
  void provider_thatDoesNotBelieveUs_orVaultThatIsAway_isNoCredential() throws Exception {
    String right = trusted;
    trusted = broker.url();
    String token = policy("jwt_bearer", "");
    assertThat(use(token).headers().firstValue("Valetkey-Error"))
        .contains("credential_unavailable");
    trusted = right;
    vault.freeze();
    HttpResponse<String> refused = use(token);
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(reached).isEmpty();
    vault.thaw();
  }

  @Test
  void setting_thatIsWrong_stopsTheStart() {
    for (String wrong : List.of("federation", "a/../b", "transit/")) {
      assertThatThrownBy(
              () -> RunningBroker.start(Map.of("valetkey.federation.transit-key", wrong)))
          .hasMessageContaining("federation.transit-key: must be the mount and the name");
    }
    assertThatThrownBy(
            () -> RunningBroker.start(Map.of("valetkey.federation.transit-key", "transit/x")))
        .hasMessageContaining("federation.transit-key: needs valetkey.vault.uri");
  }
}
