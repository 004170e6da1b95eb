package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import io.valetkey.realparts.TestAuthority;
import java.io.ByteArrayInputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Upstreams that know the gateway by a certificate, which a real Vault signs by a role. Invariants:
 * C9, C10, C11, C12.
 */
@NeedsVault
@Timeout(180)
class ClientCertificateTest {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final int PROXY = RunningBroker.freePort();
  private static final String URI_SAN = "spiffe://example.org/valetkey";

  @TempDir private static Path folder;
  private static final TestAuthority UPSTREAMS = TestAuthority.create("upstreams");
  private static RealVault vault;
  private static StopStage stage;
  private static RunningBroker broker;
  private static X509Certificate root;

  private final List<CertifiedUpstream> upstreams = new ArrayList<>();

  @BeforeAll
  static void start() throws Exception {
    vault = RealVault.startOwn();
    stage = new StopStage(folder);
    vault.send("POST", "sys/mounts/clients", Map.of("type", "pki"));
    vault.send(
        "POST",
        "clients/root/generate/internal",
        Map.of("common_name", "Clients of the test", "ttl", "700h"));
    String pem =
        HTTP.send(
                HttpRequest.newBuilder(URI.create(vault.uri() + "/v1/clients/ca/pem")).build(),
                BodyHandlers.ofString())
            .body();
    root =
        (X509Certificate)
            CertificateFactory.getInstance("X.509")
                .generateCertificate(
                    new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII)));
    role("gateway", Map.of());
    role("brief", Map.of("max_ttl", "12s"));
    role("servers", Map.of("client_flag", false, "server_flag", true));
    role("narrow", Map.of("allow_any_name", false, "allowed_domains", List.of("other.test")));
    role("rsa", Map.of("key_type", "rsa"));
    vault.policy("clients", "path \"clients/sign/*\" { capabilities = [\"update\"] }");
    Path trusted = folder.resolve("upstreams.pem");
    Files.writeString(trusted, UPSTREAMS.pem());
    broker =
        RunningBroker.start(
            stage.settings(
                "valetkey.vault.uri", vault.uri().toString(),
                "valetkey.vault.token", vault.createToken("clients", Duration.ofHours(1)),
                "valetkey.gateway.trusted-certificates", trusted.toString(),
                "valetkey.gateway.forward.port", String.valueOf(PROXY),
                "valetkey.gateway.forward.address", "127.0.0.1",
                "valetkey.gateway.forward.ca-file", folder.resolve("proxy.pem").toString(),
                "valetkey.gateway.forward.ca-domains", "localhost"));
    new Policies(broker).issuer(stage.issuer).agent("bot", "ci", "bot", "").await(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
    stage.close();
    vault.close();
  }

  @AfterEach
  void closeUpstreams() throws Exception {
    for (CertifiedUpstream upstream : upstreams) {
      upstream.close();
    }
  }

  private static void role(String name, Map<String, Object> more) {
    Map<String, Object> role = new HashMap<>();
    role.put("key_type", "ec");
    role.put("allow_any_name", true);
    role.put("enforce_hostnames", false);
    role.put("require_cn", false);
    role.put("allowed_uri_sans", List.of("spiffe://example.org/*"));
    role.put("server_flag", false);
    role.put("max_ttl", "1h");
    role.putAll(more);
    vault.send("POST", "clients/roles/" + name, role);
  }

  private CertifiedUpstream upstream(X509Certificate clients, String protocol) throws Exception {
    var upstream = new CertifiedUpstream(UPSTREAMS.server("localhost"), clients, protocol);
    upstreams.add(upstream);
    return upstream;
  }

  private static String certificate(String role, String more) {
    return "\"clientCertificate\":{\"source\":\"vault-pki\",\"mount\":\"clients\",\"role\":\"%s\"%s}"
        .formatted(role, more);
  }

  private static void destination(String name, CertifiedUpstream upstream, String more)
      throws Exception {
    new Policies(broker)
        .destination(
            name,
            "{\"kind\":\"http\",\"origin\":\"https://localhost:%d\",%s}"
                .formatted(upstream.port(), more))
        .scope(name, "all", "{\"allow\":[{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/**\"]}]}")
        .grant("bot-" + name, "bot", name, List.of("all"))
        .await(broker);
  }

  private static HttpResponse<String> get(String name, String token) throws Exception {
    return HTTP.send(request(name, token).build(), BodyHandlers.ofString());
  }

  private static HttpRequest.Builder request(String name, String token) {
    return HttpRequest.newBuilder(URI.create(broker.gatewayUrl() + "/d/" + name + "/v1/x"))
        .timeout(Duration.ofSeconds(30))
        .header("Authorization", "Bearer " + token);
  }

  private static String token(String name) throws Exception {
    return stage.token(broker, "bot", name);
  }

  private static JsonNode test(String name, String body) throws Exception {
    return StopStage.admin(broker, "POST", "/destinations/" + name + "/test", body);
  }

  private static String step(JsonNode answer, String name) {
    for (JsonNode step : answer.get("steps")) {
      if (step.get("step").asString().equals(name)) {
        return step.get("result").asString() + ": " + step.get("detail").asString();
      }
    }
    return "not tried";
  }

  @Test
  void request_carriesTheCertificateThatVaultSigned_andNoCredential() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.3");
    destination(
        "partner",
        upstream,
        certificate(
            "gateway",
            ",\"commonName\":\"valetkey\",\"uriSan\":\"" + URI_SAN + "\",\"ttl\":\"5m\""));

    HttpResponse<String> answer = get("partner", token("partner"));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    CertifiedUpstream.Received received = upstream.received.getFirst();
    assertThat(received.client().getSubjectX500Principal().getName()).isEqualTo("CN=valetkey");
    assertThat(uris(received.client())).containsExactly(URI_SAN);
    assertThat(received.client().getNotAfter())
        .isBefore(Date.from(Instant.now().plus(Duration.ofMinutes(6))));
    assertThat(received.head().toLowerCase(Locale.ROOT)).doesNotContain("authorization");
  }

  private static List<Object> uris(X509Certificate certificate) throws Exception {
    Collection<List<?>> names = certificate.getSubjectAlternativeNames();
    return names == null
        ? List.of()
        : names.stream()
            .filter(name -> name.getFirst().equals(6))
            .map(name -> (Object) name.get(1))
            .toList();
  }

  @Test
  void tunnel_thatIsLookedInto_carriesItTogetherWithACredential() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.2");
    destination(
        "tunnelled",
        upstream,
        "\"credential\":{\"source\":\"file\",\"name\":\"openai\"},"
            + certificate("gateway", ",\"commonName\":\"both\""));

    try (Socket outer = new Socket("127.0.0.1", PROXY);
        SSLSocket tls =
            ConnectedTunnel.open(
                outer, upstream.port(), token("tunnelled"), folder.resolve("proxy.pem"))) {
      tls.getOutputStream()
          .write(
              "GET /v1/x HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n"
                  .formatted(upstream.port())
                  .getBytes(StandardCharsets.ISO_8859_1));
      assertThat(new String(tls.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
          .startsWith("HTTP/1.1 200");
    }

    CertifiedUpstream.Received received = upstream.received.getFirst();
    assertThat(received.client().getSubjectX500Principal().getName()).isEqualTo("CN=both");
    assertThat(received.head()).containsIgnoringCase("authorization: Bearer " + StopStage.KEY);
  }

  @Test
  void certificate_isReplacedBeforeItEnds_andNoRequestFails() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.3");
    destination("renewed", upstream, certificate("brief", ",\"commonName\":\"brief\""));
    String token = token("renewed");

    await()
        .atMost(Duration.ofSeconds(60))
        .pollInterval(Duration.ofMillis(200))
        .until(() -> {
          HttpResponse<String> answer = get("renewed", token);
          assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
          return serials(upstream) >= 3;
        });

    assertThat(upstream.received)
        .allSatisfy(received ->
            assertThat(received.at()).isBefore(received.client().getNotAfter().toInstant()));
    // The connections of the first one are closed without anybody's doing.
    await().atMost(Duration.ofSeconds(60)).until(() -> upstream.ended.get() >= 1);
  }

  private static long serials(CertifiedUpstream upstream) {
    return upstream.received.stream()
        .map(received -> received.client().getSerialNumber())
        .distinct()
        .count();
  }

  @Test
  void destinationsOfOneOrigin_shareNeitherCertificateNorConnection() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.3");
    destination("one", upstream, certificate("gateway", ",\"commonName\":\"same\""));
    destination("two", upstream, certificate("gateway", ",\"commonName\":\"same\""));
    String one = token("one");
    String two = token("two");

    for (int i = 0; i < 3; i++) {
      assertThat(get("one", one).statusCode()).isEqualTo(200);
      assertThat(get("two", two).statusCode()).isEqualTo(200);
    }

    assertThat(serials(upstream)).isEqualTo(2);
    Map<Integer, Object> byConnection = new HashMap<>();
    for (int i = 0; i < 6; i++) {
      CertifiedUpstream.Received received = upstream.received.get(i);
      Object serial = received.client().getSerialNumber();
      assertThat(byConnection.putIfAbsent(received.connection(), serial)).isIn(null, serial);
      assertThat(serial).isEqualTo(upstream.received.get(i % 2).client().getSerialNumber());
    }
  }

  @Test
  void stop_dropsTheCertificateAndClosesItsConnections() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.3");
    destination("halted", upstream, certificate("gateway", ",\"commonName\":\"halted\""));
    String token = token("halted");
    assertThat(get("halted", token).statusCode()).isEqualTo(200);

    JsonNode stop = StopStage.order(broker, "{\"destination\":\"halted\"}");
    StopStage.awaitAcknowledged(broker, stop);

    assertThat(get("halted", token).statusCode()).isNotEqualTo(200);
    await().atMost(Duration.ofSeconds(30)).until(() -> upstream.ended.get() == 1);
    StopStage.adminAnswer(
        broker, "DELETE", "/stops/" + stop.get("id").asString(), "{\"reason\":\"over\"}");
    await()
        .atMost(Duration.ofSeconds(30))
        .untilAsserted(
            () -> assertThat(get("halted", token("halted")).statusCode()).isEqualTo(200));
    assertThat(serials(upstream)).isEqualTo(2);
  }

  @Test
  void upstreamThatRefusesIt_isReportedByTls12AndByTls13() throws Exception {
    X509Certificate other = TestAuthority.create("somebody else").certificate();
    for (String protocol : List.of("TLSv1.2", "TLSv1.3")) {
      CertifiedUpstream upstream = upstream(other, protocol);
      String name = "refusing-" + protocol.replace("TLSv1.", "");
      destination(name, upstream, certificate("gateway", ",\"commonName\":\"refused\""));

      String token = token(name);
      HttpResponse<String> answer = get(name, token);

      assertThat(answer.statusCode()).as(protocol + answer.body()).isEqualTo(502);
      assertThat(answer.body())
          .as(protocol)
          .contains("upstream_credential_rejected")
          .doesNotContain("CERTIFICATE", "SSL");
      HttpResponse<String> posted =
          HTTP.send(
              request(name, token).POST(BodyPublishers.ofString("body")).build(),
              BodyHandlers.ofString());
      assertThat(posted.body()).as(protocol).contains("upstream_credential_rejected");
      assertThat(upstream.received).isEmpty();
      assertThat(upstream.refused.get()).isPositive();
      JsonNode tested = test(name, "{\"path\":\"/v1/x\"}");
      assertThat(tested.get("outcome").asString()).isEqualTo("failed");
      assertThat(tested.toString()).contains("refused the client certificate");
    }
  }

  @Test
  void upstreamThatAnswers401_isARejectedCredential() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.3");
    upstream.status = "401 Unauthorized";
    destination("unknown", upstream, certificate("gateway", ",\"commonName\":\"unknown\""));

    HttpResponse<String> answer = get("unknown", token("unknown"));

    assertThat(answer.statusCode()).isEqualTo(502);
    assertThat(answer.body()).contains("upstream_credential_rejected");
  }

  @Test
  void selfTest_saysWhatVaultOrItsRoleDoesNotDo() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.3");
    String name = ",\"commonName\":\"valetkey\"";
    destination("right", upstream, certificate("gateway", name));
    destination("absent", upstream, certificate("no-such-role", name));
    destination("servers", upstream, certificate("servers", name));
    destination("narrow", upstream, certificate("narrow", name));
    destination("rsa", upstream, certificate("rsa", name));
    destination(
        "foreign", upstream, certificate("gateway", ",\"uriSan\":\"spiffe://other.test/x\""));

    JsonNode right = test("right", "{\"path\":\"/v1/x\"}");
    assertThat(right.get("outcome").asString()).as("%s", right).isEqualTo("passed");
    assertThat(step(right, "client_certificate")).startsWith("passed");
    assertThat(step(test("absent", null), "client_certificate"))
        .startsWith("failed")
        .contains("unknown role");
    assertThat(step(test("servers", null), "client_certificate"))
        .contains("the role has no client_flag");
    assertThat(step(test("narrow", null), "client_certificate"))
        .contains("Vault answered 400", "not allowed by this role");
    assertThat(step(test("rsa", null), "client_certificate")).contains("Vault answered 400");
    assertThat(step(test("foreign", null), "client_certificate")).contains("Vault answered 400");
    HttpResponse<String> refused = get("servers", token("servers"));
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(refused.body()).contains("credential_unavailable");
  }

  @Test
  void vaultThatIsAway_closesTheWay() throws Exception {
    CertifiedUpstream upstream = upstream(root, "TLSv1.3");
    destination("waiting", upstream, certificate("gateway", ",\"commonName\":\"waiting\""));
    String token = token("waiting");

    vault.freeze();
    try {
      HttpResponse<String> answer = get("waiting", token);
      assertThat(answer.statusCode()).isEqualTo(503);
      assertThat(answer.body()).contains("credential_unavailable");
    } finally {
      vault.thaw();
    }

    assertThat(upstream.received).isEmpty();
    await().atMost(Duration.ofSeconds(60)).until(() -> get("waiting", token).statusCode() == 200);
  }
}
