package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.TestTrustDomain.Draft;
import io.valetkey.broker.TestTrustDomain.Svid;
import io.valetkey.broker.crypto.CertificateThumbprint;
import io.valetkey.realparts.NeedsPrograms;
import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.io.IOException;
import java.io.InputStream;
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
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Workloads with certificates, over real TLS at both ends. Invariants: I10, I11. */
class X509SvidTest {

  private static final String ID = "spiffe://td-a.test/bot";
  private static final String CHAT = "/d/openai/v1/chat/completions";
  private static final TestTrustDomain OURS = TestTrustDomain.of("td-a.test");
  private static final TestTrustDomain OTHER = TestTrustDomain.of("td-b.test");
  private static final TestIssuer CI = new TestIssuer("ci");
  private static final Svid BOT = OURS.workload("/bot");
  private static final HttpClient PLAIN = HttpClient.newHttpClient();

  @TempDir private static Path folder;
  private static TestAuthority authority;
  private static ProviderUpstream upstream;
  private static RunningBroker broker;
  private static String mtls;
  private static int gatewayPort;

  @BeforeAll
  static void start() throws Exception {
    authority = TestAuthority.create("servers");
    upstream = new ProviderUpstream(authority);
    MutualTls.show(folder, authority.server("localhost"));
    mtls = "https://localhost:" + RunningBroker.freePort();
    broker = RunningBroker.start(settings());
    gatewayPort = URI.create(broker.gatewayUrl()).getPort();
    writePolicy();
  }

  private static Map<String, String> settings() throws IOException {
    Map<String, String> settings = MutualTls.settings(mtls, folder, authority);
    settings.put("spring.ssl.bundle.pem.own.reload-on-update", "true");
    settings.put("spring.ssl.bundle.watch.file.quiet-period", "100ms");
    settings.put("valetkey.introspection.resource-servers", "server=openai");
    return settings;
  }

  private static void writePolicy() throws Exception {
    new Policies(broker)
        .issuer(CI)
        .spiffe("mesh", "td-a.test", OURS.pem())
        .agent("bot", "mesh", ID, "")
        .agent("other", "mesh", "spiffe://td-a.test/team/", "")
        .agent("stoppable", "mesh", "spiffe://td-a.test/stoppable", "")
        .agent("disabled", "mesh", "spiffe://td-a.test/disabled", ",\"enabled\":false")
        .agent("ci-bot", "ci", "bot-subject", "")
        .agent("server", "ci", "server-subject", "")
        .destination(
            "openai",
            "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":{\"source\":\"file\",\"name\":\"openai\"}}"
                .formatted(upstream.origin()))
        .scope(
            "openai",
            "chat",
            "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/v1/chat/completions\"]}]}")
        .grant("g-bot", "bot", "openai", List.of("chat"))
        .grant("g-other", "other", "openai", List.of("chat"))
        .grant("g-stoppable", "stoppable", "openai", List.of("chat"))
        .grant("g-disabled", "disabled", "openai", List.of("chat"))
        .grant("g-ci", "ci-bot", "openai", List.of("chat"))
        .await(broker);
  }

  @AfterAll
  static void stop() {
    PLAIN.close();
    broker.close();
    upstream.close();
  }

  private static SSLContext context(Svid svid) {
    return svid == null ? authority.trust() : svid.trusting(authority.certificate());
  }

  /** With HTTP/1.1, as the gateway speaks. */
  private static HttpResponse<String> send(Svid svid, HttpRequest.Builder request)
      throws Exception {
    try (HttpClient client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .sslContext(context(svid))
            .build()) {
      return client.send(request.timeout(Duration.ofSeconds(30)).build(), BodyHandlers.ofString());
    }
  }

  private static HttpRequest.Builder form(String url, Map<String, String> form) {
    StringBuilder body = new StringBuilder();
    form.forEach((name, value) ->
        body.append(body.isEmpty() ? "" : "&")
            .append(name)
            .append('=')
            .append(URLEncoder.encode(value, StandardCharsets.UTF_8)));
    return HttpRequest.newBuilder(URI.create(url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .POST(BodyPublishers.ofString(body.toString()));
  }

  private static Map<String, String> wish(String clientId) {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("grant_type", "client_credentials");
    form.put("audience", "openai");
    if (clientId != null) {
      form.put("client_id", clientId);
    }
    return form;
  }

  private static Map<String, String> wish(String clientId, String more, String value) {
    Map<String, String> form = wish(clientId);
    form.put(more, value);
    return form;
  }

  private static HttpResponse<String> ask(Svid svid, Map<String, String> form) throws Exception {
    return send(svid, form(mtls + "/oauth2/token", form));
  }

  private static String token(Svid svid, String id) throws Exception {
    HttpResponse<String> answer = ask(svid, wish(id));
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return json(answer).path("access_token").asString();
  }

  private static String unboundToken() throws Exception {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    form.put("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
    form.put("subject_token", CI.token("bot-subject", broker.url()));
    form.put("audience", "openai");
    HttpResponse<String> answer =
        PLAIN.send(form(broker.url() + "/oauth2/token", form).build(), BodyHandlers.ofString());
    return json(answer).path("access_token").asString();
  }

  private static JsonNode json(HttpResponse<String> answer) {
    return JsonMapper.shared().readTree(answer.body());
  }

  private static HttpResponse<String> chat(Svid svid, String authorization) throws Exception {
    return send(
        svid,
        HttpRequest.newBuilder(URI.create("https://localhost:" + gatewayPort + CHAT))
            .header("Authorization", authorization)
            .POST(BodyPublishers.ofString("{}")));
  }

  private static String record(String decisionId, String column) throws Exception {
    try (var database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT " + column + " FROM audit_record WHERE decision_id = ?::uuid")) {
      statement.setString(1, decisionId);
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).isTrue();
        return rows.getString(1);
      }
    }
  }

  private static void refused(HttpResponse<String> answer, int status, String error) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    assertThat(json(answer).path("error").asString()).isEqualTo(error);
    assertThat(answer.body()).doesNotContain("access_token");
  }

  @Test
  void workloadWithACertificate_getsATokenThatIsBoundToIt() throws Exception {
    HttpResponse<String> answer = ask(BOT, wish(ID));

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(json(answer).path("token_type").asString()).isEqualTo("Bearer");
    var claims = SignedJWT.parse(json(answer).path("access_token").asString()).getJWTClaimsSet();
    assertThat(claims.getSubject()).isEqualTo(ID);
    assertThat(claims.getStringClaim("client_id")).isEqualTo("bot");
    assertThat(claims.getJSONObjectClaim("cnf"))
        .isEqualTo(Map.of("x5t#S256", CertificateThumbprint.of(BOT.leaf())));
    assertThat(claims.getExpirationTime()).isBeforeOrEqualTo(BOT.leaf().getNotAfter());

    String details;
    try (var database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT details::text, agent, subject FROM audit_record WHERE jti = ?")) {
      statement.setString(1, claims.getJWTID());
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).isTrue();
        details = rows.getString(1);
        assertThat(rows.getString(2)).isEqualTo("bot");
        assertThat(rows.getString(3)).isEqualTo(ID);
      }
    }
    assertThat(details)
        .contains("\"way\": \"client_certificate\"")
        .contains(CertificateThumbprint.of(BOT.leaf()))
        .doesNotContain("BEGIN", "MII", "PRIVATE");
  }

  /** The commands of the how-to, by HTTP/1.1 and, where curl has it, by HTTP/2. */
  @ParameterizedTest
  @ValueSource(strings = {"--http1.1", "--http2"})
  @NeedsPrograms("curl")
  void curl_getsATokenAndUsesIt(String version) throws Exception {
    String svid = Files.writeString(folder.resolve("svid.pem"), BOT.pem()).toString();
    String key = Files.writeString(folder.resolve("svid.key"), BOT.keyPem()).toString();
    String ca = authority.writePem(folder).toString();
    String answer =
        run(
            "curl",
            "-sS",
            version,
            "--cert",
            svid,
            "--key",
            key,
            "--cacert",
            ca,
            mtls + "/oauth2/token",
            "-d",
            "grant_type=client_credentials",
            "-d",
            "client_id=" + ID,
            "-d",
            "audience=openai");
    assertThat(answer).contains("access_token");
    String token = JsonMapper.shared().readTree(answer).path("access_token").asString();
    String url = "https://localhost:" + gatewayPort + CHAT;
    String bearer = "Authorization: Bearer " + token;
    assertThat(
            run(
                "curl",
                "-sS",
                version,
                "--cert",
                svid,
                "--key",
                key,
                "--cacert",
                ca,
                url,
                "-H",
                bearer,
                "-d",
                "{}"))
        .contains("chatcmpl-1");
    assertThat(run("curl", "-sS", version, "--cacert", ca, url, "-H", bearer, "-d", "{}"))
        .contains("invalid_token");
  }

  private static String run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  @Test
  void pathPrefix_bindsLikeThatOfATokensSubject() throws Exception {
    Svid svid = OURS.svid("/team/one").by(OURS.intermediate(0).make()).make();
    String token = token(svid, "spiffe://td-a.test/team/one");
    assertThat(SignedJWT.parse(token).getJWTClaimsSet().getStringClaim("client_id"))
        .isEqualTo("other");
    assertThat(chat(svid, "Bearer " + token).statusCode()).isEqualTo(200);
    refused(ask(OURS.workload("/team"), wish("spiffe://td-a.test/team")), 401, "invalid_client");
  }

  @Test
  void boundToken_passesOnAConnectionOfItsCertificateOnly() throws Exception {
    String token = token(BOT, ID);

    HttpResponse<String> answer = chat(BOT, "Bearer " + token);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);

    assertThat(chat(null, "Bearer " + token).statusCode()).as("no certificate").isEqualTo(401);
    assertThat(chat(OURS.workload("/bot"), "Bearer " + token).statusCode())
        .as("another certificate of the same workload")
        .isEqualTo(401);
    assertThat(chat(OTHER.svid("/bot").uris(ID).make(), "Bearer " + token).statusCode())
        .as("a forged certificate")
        .isEqualTo(401);
    assertThat(chat(BOT, "DPoP " + token).statusCode()).isEqualTo(401);
    HttpResponse<String> stolen = chat(null, "Bearer " + token);
    assertThat(stolen.headers().firstValue("WWW-Authenticate").orElse(""))
        .contains("invalid_token");
    assertThat(record(json(stolen).path("decision_id").asString(), "reason"))
        .isEqualTo("invalid_token");
    assertThat(chat(BOT, "Bearer " + token).statusCode()).isEqualTo(200);
  }

  @Test
  void unboundToken_worksAsBefore_withOrWithoutACertificate() throws Exception {
    String token = unboundToken();
    assertThat(chat(null, "Bearer " + token).statusCode()).isEqualTo(200);
    assertThat(chat(BOT, "Bearer " + token).statusCode()).isEqualTo(200);
    assertThat(chat(OTHER.workload("/x"), "Bearer " + token).statusCode()).isEqualTo(200);
  }

  /** Each request of a connection is asked for itself. */
  @Test
  void keptAliveConnection_takesTheTokensOfItsOwnCertificateOnly() throws Exception {
    String own = token(BOT, ID);
    Svid second = OURS.workload("/team/two");
    String foreign = token(second, "spiffe://td-a.test/team/two");
    String unbound = unboundToken();
    try (SSLSocket socket =
        (SSLSocket) context(BOT).getSocketFactory().createSocket("localhost", gatewayPort)) {
      socket.setSoTimeout(30_000);
      assertThat(request(socket, own)).startsWith("HTTP/1.1 200");
      assertThat(request(socket, unbound)).startsWith("HTTP/1.1 200");
      assertThat(request(socket, own)).startsWith("HTTP/1.1 200");
      assertThat(request(socket, foreign)).startsWith("HTTP/1.1 401");
    }
  }

  private static String request(SSLSocket socket, String token) throws IOException {
    String text =
        "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: 2\r\n\r\n{}"
            .formatted(CHAT, token);
    socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
    InputStream in = socket.getInputStream();
    StringBuilder head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      head.append(next(in));
    }
    String lower = head.toString().toLowerCase(java.util.Locale.ROOT);
    int at = lower.indexOf("content-length: ");
    if (at >= 0) {
      in.readNBytes(Integer.parseInt(lower.substring(at + 16, lower.indexOf('\r', at)).strip()));
    } else {
      StringBuilder body = new StringBuilder();
      while (body.indexOf("0\r\n\r\n") < 0) {
        body.append(next(in));
      }
    }
    return head.toString();
  }

  private static char next(InputStream in) throws IOException {
    int read = in.read();
    assertThat(read).as("the connection ends").isNotNegative();
    return (char) read;
  }

  static Stream<Arguments> forged() {
    Instant now = Instant.now();
    Draft good = OURS.svid("/bot");
    Svid flat = OURS.intermediate(0).make();
    Svid above = OURS.intermediate(null).make();
    return Stream.of(
        Arguments.of("another trust domain", OTHER.workload("/bot"), "issuer_unknown"),
        Arguments.of(
            "another's authority", OTHER.svid("/bot").uris(ID).make(), "signature_invalid"),
        Arguments.of("self-signed", good.selfSigned(), "signature_invalid"),
        Arguments.of(
            "authority of the same name", good.signedByAnother(OTHER), "signature_invalid"),
        Arguments.of("two URIs", OURS.svid("/bot").uris(ID, ID).make(), "token_malformed"),
        Arguments.of(
            "DNS only", OURS.svid("/bot").uris().dns("td-a.test").make(), "token_malformed"),
        Arguments.of("authority as leaf", OURS.svid("/bot").authority(0).make(), "claims_invalid"),
        Arguments.of(
            "expired",
            OURS.svid("/bot").life(now.minusSeconds(600), now.minusSeconds(60)).make(),
            "token_expired"),
        Arguments.of(
            "not yet valid",
            OURS.svid("/bot").life(now.plusSeconds(600), now.plusSeconds(1200)).make(),
            "token_expired"),
        Arguments.of(
            "for servers",
            OURS.svid("/bot").purposes(KeyPurposeId.id_kp_serverAuth).make(),
            "claims_invalid"),
        Arguments.of(
            "may sign certificates",
            OURS.svid("/bot").usage(KeyUsage.digitalSignature | KeyUsage.keyCertSign).make(),
            "claims_invalid"),
        Arguments.of("weak key", OURS.svid("/bot").rsa(1024).make(), "algorithm_not_allowed"),
        Arguments.of(
            "no intermediate", OURS.svid("/bot").by(above).make().over(), "signature_invalid"),
        Arguments.of(
            "path too long",
            OURS.svid("/bot").by(OTHER.intermediate(null).by(flat).make()).make(),
            "signature_invalid"),
        Arguments.of(
            "dots",
            OURS.svid("/bot").uris("spiffe://td-a.test/x/../bot").make(),
            "token_malformed"),
        Arguments.of(
            "percent",
            OURS.svid("/bot").uris("spiffe://td-a.test/b%6ft").make(),
            "token_malformed"),
        Arguments.of(
            "upper case",
            OURS.svid("/bot").uris("spiffe://TD-A.test/bot").make(),
            "token_malformed"),
        Arguments.of("slash", OURS.svid("/bot").uris(ID + "/").make(), "token_malformed"),
        Arguments.of("nobody's", OURS.workload("/stranger"), "agent_unknown"));
  }

  /** The wire says the same of all of them; the record says which it was. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("forged")
  void certificate_whenAnythingIsWrong_getsNothing(String name, Svid svid, String reason)
      throws Exception {
    HttpResponse<String> answer = ask(svid, wish(ID));

    refused(answer, 401, "invalid_client");
    assertThat(json(answer).path("error_description").asString())
        .isEqualTo("The client certificate is not acceptable");
    assertThat(record(json(answer).path("decision_id").asString(), "reason")).isEqualTo(reason);
  }

  @Test
  void request_withAnotherClientIdThanTheCertificates_isRefused() throws Exception {
    refused(ask(BOT, wish("spiffe://td-a.test/other")), 401, "invalid_client");
    refused(ask(BOT, wish("bot")), 401, "invalid_client");
    refused(ask(BOT, wish(ID + "/")), 401, "invalid_client");
    refused(ask(BOT, wish(null)), 400, "invalid_request");
  }

  @Test
  void request_withTwoProofs_isRefusedAsAmbiguous() throws Exception {
    String jwt = CI.token("bot-subject", broker.url());
    refused(ask(BOT, wish(ID, "client_assertion", jwt)), 400, "invalid_request");
    refused(ask(BOT, wish(ID, "client_assertion_type", "x")), 400, "invalid_request");
    refused(ask(BOT, wish(ID, "client_secret", "x")), 400, "invalid_request");
    refused(ask(BOT, wish(ID, "subject_token", jwt)), 400, "invalid_request");
    Map<String, String> exchange = wish(null, "subject_token", jwt);
    exchange.put("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    exchange.put("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
    refused(ask(BOT, exchange), 400, "invalid_request");
    refused(
        send(BOT, form(mtls + "/oauth2/token", wish(ID)).header("DPoP", "x.y.z")),
        400,
        "invalid_request");
  }

  @Test
  void claimOfACertificate_withoutAHandshake_isNothing() throws Exception {
    String pem = URLEncoder.encode(TestTrustDomain.pem(BOT.leaf()), StandardCharsets.UTF_8);
    for (String url : List.of(mtls, broker.url())) {
      HttpRequest.Builder request = form(url + "/oauth2/token", wish(ID));
      for (String header :
          List.of("X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "ssl_client_cert")) {
        request.header(header, pem);
      }
      request.header("Client-Cert", ":" + pem + ":");
      refused(send(null, request), 401, "invalid_client");
    }
  }

  @Test
  void tokenAndAssertions_workAtTheSamePort_withoutACertificate() throws Exception {
    Map<String, String> form =
        wish(null, "client_assertion", CI.token("bot-subject", broker.url()));
    form.put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    HttpResponse<String> answer = ask(null, form);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    String token = json(answer).path("access_token").asString();
    assertThat(SignedJWT.parse(token).getJWTClaimsSet().getClaim("cnf")).isNull();
  }

  @Test
  void port_hasTheOAuthEndpointsOnly() throws Exception {
    for (String path :
        List.of("/console", "/admin/v1/agents", "/openapi", "/", "/actuator/health")) {
      HttpResponse<String> answer = send(BOT, HttpRequest.newBuilder(URI.create(mtls + path)));
      assertThat(answer.statusCode()).as(path).isEqualTo(404);
    }
    assertThat(send(null, HttpRequest.newBuilder(URI.create(mtls + "/oauth2/jwks"))).statusCode())
        .isEqualTo(200);
  }

  @Test
  void agentThatIsDisabledOrStopped_getsNothing_andItsTokenEnds() throws Exception {
    refused(
        ask(OURS.workload("/disabled"), wish("spiffe://td-a.test/disabled")),
        401,
        "invalid_client");

    Svid svid = OURS.workload("/stoppable");
    String id = "spiffe://td-a.test/stoppable";
    String token = token(svid, id);
    assertThat(chat(svid, "Bearer " + token).statusCode()).isEqualTo(200);
    var order =
        HttpRequest.newBuilder(broker.api("/admin/v1/stops"))
            .header("Authorization", "Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
            .header("Content-Type", "application/json")
            .POST(
                BodyPublishers.ofString(
                    "{\"target\":{\"agent\":\"stoppable\"},\"reason\":\"a test\"}"))
            .build();
    assertThat(PLAIN.send(order, BodyHandlers.ofString()).statusCode()).isEqualTo(201);

    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> chat(svid, "Bearer " + token).statusCode() == 401);
    refused(ask(svid, wish(id)), 401, "invalid_client");
  }

  @Test
  void metadata_saysWhereAndHow() throws Exception {
    var request = HttpRequest.newBuilder(broker.api("/.well-known/oauth-authorization-server"));
    JsonNode metadata = json(PLAIN.send(request.build(), BodyHandlers.ofString()));
    assertThat(metadata.path("token_endpoint_auth_methods_supported").toString())
        .contains("\"tls_client_auth\"")
        .contains("\"spiffe_x509\"");
    assertThat(metadata.path("tls_client_certificate_bound_access_tokens").asBoolean()).isTrue();
    assertThat(metadata.at("/mtls_endpoint_aliases/token_endpoint").asString())
        .isEqualTo(mtls + "/oauth2/token");
  }

  @Test
  void introspection_saysWhatTheTokenIsBoundTo() throws Exception {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("token", token(BOT, ID));
    form.put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.put("client_assertion", CI.token("server-subject", broker.url()));
    JsonNode answer =
        json(
            PLAIN.send(
                form(broker.url() + "/oauth2/introspect", form).build(), BodyHandlers.ofString()));
    assertThat(answer.path("active").asBoolean()).isTrue();
    assertThat(answer.path("token_type").asString()).isEqualTo("Bearer");
    assertThat(answer.path("cnf").toString())
        .isEqualTo("{\"x5t#S256\":\"" + CertificateThumbprint.of(BOT.leaf()) + "\"}");
  }

  @Test
  void lease_withABoundToken_needsItsConnectionToo() throws Exception {
    String token = token(BOT, ID);
    assertThat(lease(BOT, mtls, token)).as("brokered, not leased").isEqualTo(400);
    assertThat(lease(null, mtls, token)).isEqualTo(401);
    assertThat(lease(OURS.workload("/bot"), mtls, token)).isEqualTo(401);
    assertThat(lease(null, broker.url(), token)).isEqualTo(401);
    assertThat(lease(null, broker.url(), unboundToken())).isEqualTo(400);
  }

  private static int lease(Svid svid, String url, String token) throws Exception {
    return send(
            svid,
            HttpRequest.newBuilder(URI.create(url + "/v1/leases"))
                .header("Authorization", "Bearer " + token)
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", "k-" + System.nanoTime())
                .POST(BodyPublishers.ofString("{\"destination\":\"openai\"}")))
        .statusCode();
  }

  /** What comes with a renewed certificate must not ask for less. */
  @Test
  void renewedServerCertificate_stillAsksForTheClients() throws Exception {
    TestCertificate renewed = authority.server("localhost");
    MutualTls.show(folder, renewed);
    for (int port : List.of(gatewayPort, URI.create(mtls).getPort())) {
      await()
          .atMost(Duration.ofSeconds(60))
          .ignoreExceptions()
          .until(() -> shown(port).equals(renewed.certificate()));
    }
    Svid svid = OURS.workload("/bot");
    String token = token(svid, ID);
    assertThat(chat(svid, "Bearer " + token).statusCode()).isEqualTo(200);
    assertThat(chat(null, "Bearer " + token).statusCode()).isEqualTo(401);
  }

  private static X509Certificate shown(int port) throws IOException {
    try (SSLSocket socket =
        (SSLSocket) authority.trust().getSocketFactory().createSocket("localhost", port)) {
      socket.startHandshake();
      return (X509Certificate) socket.getSession().getPeerCertificates()[0];
    }
  }
}
