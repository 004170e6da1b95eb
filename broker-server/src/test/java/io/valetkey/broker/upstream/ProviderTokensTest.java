package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.crypto.RSASSAVerifier;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.MovableClock;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.net.Cidr;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.policy.DestinationSpec.Credential.ClientAuthentication;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens that providers make, over TLS on real sockets. Invariants: C2, C6, C7. */
class ProviderTokensTest {

  private static final TestAuthority AUTHORITY = TestAuthority.create("providers");
  private static final Instant START = Instant.parse("2026-11-01T00:00:00Z");
  private static final Credential SECRET = new Credential.File("secret");

  /** One request as the provider got it. */
  private record Asked(String path, Map<String, String> form, String body, String authorization) {}

  @TempDir private Path folder;
  private final MovableClock clock = new MovableClock(START);
  private final List<Asked> asked = new CopyOnWriteArrayList<>();
  private HttpsServer provider;
  private UpstreamCredentials credentials;
  private volatile HttpHandler answer = exchange -> json(exchange, 200, token("canary-1", 3600));

  @BeforeEach
  void start() throws Exception {
    provider = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    provider.setHttpsConfigurator(
        new HttpsConfigurator(AUTHORITY.server("localhost").serverContext()));
    provider.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    provider.createContext("/", this::handle);
    provider.start();
    write("secret", "canary of client: a+b/c=");
    credentials = credentials(providers(AUTHORITY, "127.0.0.0/8", "::1/128"));
  }

  @AfterEach
  void stop() {
    credentials.close();
    provider.stop(0);
  }

  static ProviderHttp providers(TestAuthority authority, String... ranges) throws Exception {
    var trust =
        javax.net.ssl.TrustManagerFactory.getInstance(
            javax.net.ssl.TrustManagerFactory.getDefaultAlgorithm());
    var store = java.security.KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("ca", authority.certificate());
    trust.init(store);
    return new ProviderHttp(
        AddressRules.forDestinations(Arrays.stream(ranges).map(Cidr::parse).toList(), Set.of()),
        trust);
  }

  /** A way to providers that leads nowhere. */
  static ProviderHttp nowhere() {
    try {
      return providers(AUTHORITY);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private UpstreamCredentials credentials(ProviderHttp http) {
    return new UpstreamCredentials(
        new FileSource(folder),
        CredentialSource.unconfigured("valetkey.vault.uri"),
        http,
        null,
        CertificateSource.unconfigured("valetkey.vault.uri"),
        new CredentialSettings(
            Duration.ofMinutes(1), Duration.ofSeconds(2), Duration.ofMillis(1), 10),
        clock);
  }

  @Test
  void clientSecretBasic_isFormEncodedFirst_andTheRestIsInTheForm() {
    assertThat(value(client(ClientAuthentication.CLIENT_SECRET_BASIC))).isEqualTo("canary-1");
    Asked request = asked.getFirst();
    assertThat(request.path()).isEqualTo("/oauth2/token?tenant=1");
    assertThat(request.form())
        .isEqualTo(
            Map.of(
                "grant_type", "client_credentials",
                "scope", "read write",
                "audience", "aud",
                "resource", "https://api.test/"));
    assertThat(new String(Base64.getDecoder().decode(request.authorization().substring(6))))
        .isEqualTo("valetkey%3A1:canary+of+client%3A+a%2Bb%2Fc%3D");
  }

  @Test
  void clientSecretPost_isInTheForm() {
    assertThat(value(client(ClientAuthentication.CLIENT_SECRET_POST))).isEqualTo("canary-1");
    assertThat(asked.getFirst().authorization()).isEqualTo("null");
    assertThat(asked.getFirst().form())
        .containsEntry("client_id", "valetkey:1")
        .containsEntry("client_secret", "canary of client: a+b/c=");
  }

  @ParameterizedTest
  @ValueSource(strings = {"P-256", "P-384", "P-521"})
  void privateKeyJwt_isSignedWithAJwk(String curve) throws Exception {
    var key = new ECKeyGenerator(Curve.parse(curve)).keyID("k1").generate();
    write("secret", key.toJSONString());
    assertThat(value(client(ClientAuthentication.PRIVATE_KEY_JWT))).isEqualTo("canary-1");

    Map<String, String> form = asked.getFirst().form();
    assertThat(form.get("client_assertion_type"))
        .isEqualTo("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    SignedJWT jwt = SignedJWT.parse(form.get("client_assertion"));
    assertThat(jwt.verify(new ECDSAVerifier(key.toPublicJWK()))).isTrue();
    assertThat(jwt.getHeader().getKeyID()).isEqualTo("k1");
    var claims = jwt.getJWTClaimsSet();
    assertThat(claims.getIssuer()).isEqualTo("valetkey:1");
    assertThat(claims.getSubject()).isEqualTo("valetkey:1");
    assertThat(claims.getAudience()).containsExactly(url("/oauth2/token?tenant=1"));
    assertThat(claims.getExpirationTime()).isEqualTo(START.plusSeconds(60));
    assertThat(claims.getJWTID()).isNotBlank();
  }

  @Test
  void jwtBearer_sendsAnAssertionAboutItsSubject() throws Exception {
    var key = new RSAKeyGenerator(2048).generate();
    write("secret", pem("PRIVATE KEY", key.toPrivateKey().getEncoded()));
    var reference =
        new Credential.JwtBearer(
            url("/token"), "robot@project", "user@example.test", null, SECRET, "k2", "drive");
    assertThat(value(reference)).isEqualTo("canary-1");

    Map<String, String> form = asked.getFirst().form();
    assertThat(form)
        .containsEntry("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        .containsEntry("scope", "drive");
    SignedJWT jwt = SignedJWT.parse(form.get("assertion"));
    assertThat(jwt.verify(new RSASSAVerifier(key.toPublicJWK()))).isTrue();
    assertThat(jwt.getHeader().getKeyID()).isEqualTo("k2");
    assertThat(jwt.getJWTClaimsSet().getSubject()).isEqualTo("user@example.test");
    assertThat(jwt.getJWTClaimsSet().getAudience()).containsExactly(url("/token"));
    assertThat(jwt.getJWTClaimsSet().getStringClaim("scope")).isEqualTo("drive");
  }

  @Test
  void gitHubApp_asksForATokenOfSomeRepositories_withItsPkcs1Key() throws Exception {
    var key = new RSAKeyGenerator(2048).generate();
    write("secret", pem("RSA PRIVATE KEY", pkcs1(key.toPrivateKey())));
    answer =
        exchange ->
            json(
                exchange,
                201,
                "{\"token\":\"ghs_canary\",\"expires_at\":\"2026-11-01T01:00:00Z\"}");
    var reference =
        new Credential.GitHubApp(
            url("/api/v3"), "123", "456", SECRET, List.of("tool"), Map.of("contents", "read"));
    assertThat(value(reference)).isEqualTo("ghs_canary");

    Asked request = asked.getFirst();
    assertThat(request.path()).isEqualTo("/api/v3/app/installations/456/access_tokens");
    assertThat(request.body())
        .isEqualTo("{\"repositories\":[\"tool\"],\"permissions\":{\"contents\":\"read\"}}");
    SignedJWT jwt = SignedJWT.parse(request.authorization().substring("Bearer ".length()));
    assertThat(jwt.verify(new RSASSAVerifier(key.toPublicJWK()))).isTrue();
    assertThat(jwt.getJWTClaimsSet().getIssuer()).isEqualTo("123");
    assertThat(jwt.getJWTClaimsSet().getIssueTime()).isEqualTo(START.minusSeconds(60));
    // GitHub takes ten minutes at most.
    assertThat(jwt.getJWTClaimsSet().getExpirationTime()).isBefore(START.plusSeconds(600));
  }

  @Test
  void key_whenItIsNone_isRefusedWithoutItsText() throws Exception {
    var weak = new RSAKeyGenerator(1024, true).generate();
    for (String text :
        List.of(
            "canary",
            "{\"kty\":\"oct\",\"k\":\"canary\"}",
            new ECKeyGenerator(Curve.P_256).generate().toPublicJWK().toJSONString(),
            weak.toJSONString(),
            pem("PRIVATE KEY", "canary".getBytes(StandardCharsets.US_ASCII)))) {
      write("secret", text);
      clock.advance(Duration.ofSeconds(1));
      refusal(client(ClientAuthentication.PRIVATE_KEY_JWT))
          .isNotInstanceOf(SourceAwayException.class)
          .hasMessageContaining("no usable key")
          .hasMessageNotContaining("canary");
    }
    assertThat(asked).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          400 | application/json | {"error":"invalid_scope"}
          401 | application/json;charset=UTF-8 | {"error":"invalid_client","error_description":"canary"}
          403 | application/problem+json | {}
          """)
  void provider_whenItRefusesUs_isBelieved(int status, String type, String body) {
    answer = exchange -> answer(exchange, status, type, body);
    refusal(client(ClientAuthentication.CLIENT_SECRET_POST))
        .isNotInstanceOf(SourceAwayException.class)
        .hasMessageContaining("" + status)
        .hasMessageNotContaining("canary");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          500 | application/json | {"error":"server_error"}
          429 | application/json | {"error":"slow_down"}
          401 | text/html        | <h1>canary</h1>
          200 | text/html        | {"access_token":"canary","token_type":"Bearer","expires_in":60}
          200 | application/json | ["canary"]
          200 | application/json | canary
          200 | application/json | {"token_type":"Bearer","expires_in":60}
          200 | application/json | {"access_token":"canary","token_type":"DPoP","expires_in":60}
          200 | application/json | {"access_token":"canary","expires_in":60}
          200 | application/json | {"access_token":"can ary","token_type":"Bearer","expires_in":60}
          200 | application/json | {"access_token":"can\\u000aary","token_type":"Bearer","expires_in":60}
          200 | application/json | {"access_token":"canary","token_type":"Bearer","expires_in":"60"}
          200 | application/json | {"access_token":"canary","token_type":"Bearer","expires_in":0}
          200 | application/json | {"access_token":"canary","token_type":"Bearer","expires_in":-1}
          """)
  void provider_whenItsAnswerIsNoAnswer_isTakenAsAway(int status, String type, String body) {
    answer = exchange -> answer(exchange, status, type, body);
    refusal(client(ClientAuthentication.CLIENT_SECRET_POST))
        .isInstanceOf(SourceAwayException.class)
        .hasMessageNotContaining("canary");
  }

  @Test
  void provider_whenItSendsUsElsewhere_isNotFollowed() {
    answer =
        exchange -> {
          exchange.getResponseHeaders().set("Location", url("/elsewhere"));
          exchange.sendResponseHeaders(307, -1);
          exchange.close();
        };
    refusal(client(ClientAuthentication.CLIENT_SECRET_POST)).hasMessageContaining("307");
    assertThat(asked).hasSize(1);
  }

  @Test
  void provider_whenItIsSlowOrHuge_isGivenUpInTime() {
    answer =
        exchange -> {
          exchange.getResponseHeaders().set("Content-Type", "application/json");
          exchange.sendResponseHeaders(200, 0);
          try (OutputStream out = exchange.getResponseBody()) {
            // A byte now and then keeps every time-out for a single read quiet.
            for (int i = 0; i < 600; i++) {
              out.write(' ');
              out.flush();
              Thread.sleep(100);
            }
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        };
    long begun = System.nanoTime();
    refusal(client(ClientAuthentication.CLIENT_SECRET_POST)).hasMessageContaining("within");
    assertThat(Duration.ofNanos(System.nanoTime() - begun)).isLessThan(Duration.ofSeconds(6));

    answer = exchange -> json(exchange, 200, " ".repeat(65 * 1024) + token("canary", 60));
    refusal(new Credential.JwtBearer(url("/x"), "i", null, null, keyFile(), null, null))
        .hasMessageContaining("larger");
  }

  @Test
  void provider_atAnAddressThatIsNotAllowed_orWithoutAGoodCertificate_hearsNothing()
      throws Exception {
    try (UpstreamCredentials elsewhere = credentials(providers(AUTHORITY))) {
      assertThatThrownBy(() -> of(elsewhere.get(client(ClientAuthentication.CLIENT_SECRET_POST))))
          .hasMessageContaining("not allowed");
    }
    TestAuthority other = TestAuthority.create("other");
    try (UpstreamCredentials distrusting =
        credentials(providers(other, "127.0.0.0/8", "::1/128"))) {
      assertThatThrownBy(() -> of(distrusting.get(client(ClientAuthentication.CLIENT_SECRET_POST))))
          .hasMessageContaining("SSLHandshakeException");
    }
    assertThat(asked).isEmpty();
  }

  @Test
  void token_isFetchedOnceForMany_andAgainShortlyBeforeItsEnd() throws Exception {
    var reference = client(ClientAuthentication.CLIENT_SECRET_POST);
    List<CompletableFuture<UpstreamCredential>> waiting =
        IntStream.range(0, 50).mapToObj(i -> credentials.get(reference)).toList();
    for (CompletableFuture<UpstreamCredential> one : waiting) {
      assertThat(of(one)).isEqualTo("canary-1");
    }
    clock.advance(Duration.ofMinutes(57));
    assertThat(value(reference)).isEqualTo("canary-1");
    assertThat(asked).hasSize(1);

    answer = exchange -> json(exchange, 200, token("canary-2", 3600));
    clock.advance(Duration.ofSeconds(90));
    // In the background first, so that nobody waits.
    assertThat(value(reference)).isEqualTo("canary-1");
    await().untilAsserted(() -> assertThat(value(reference)).isEqualTo("canary-2"));
    assertThat(asked).hasSize(2);
  }

  @Test
  void token_isUsedWhileTheProviderIsAway_andNeverAfterItsEnd() {
    var reference = client(ClientAuthentication.CLIENT_SECRET_POST);
    assertThat(value(reference)).isEqualTo("canary-1");
    answer = exchange -> answer(exchange, 503, "text/plain", "away");
    clock.advance(Duration.ofSeconds(3599));
    assertThat(value(reference)).isEqualTo("canary-1");
    clock.advance(Duration.ofSeconds(1));
    refusal(reference).isInstanceOf(SourceAwayException.class);
  }

  @Test
  void token_withoutAnEnd_isAskedForAgainAfterTheTtl_andALongOneAfterAnHour() {
    var reference = client(ClientAuthentication.CLIENT_SECRET_POST);
    answer =
        exchange ->
            json(exchange, 200, "{\"access_token\":\"canary-1\",\"token_type\":\"bearer\"}");
    value(reference);
    clock.advance(Duration.ofMinutes(1));
    answer = exchange -> json(exchange, 200, token("canary-2", 30 * 86_400));
    assertThat(value(reference)).isEqualTo("canary-2");
    clock.advance(Duration.ofHours(1));
    answer = exchange -> json(exchange, 200, token("canary-3", 60));
    assertThat(value(reference)).isEqualTo("canary-3");
  }

  @Test
  void token_whenDroppedOrRejected_isFetchedAnew_andForgottenAfterItsEnd() {
    var reference = client(ClientAuthentication.CLIENT_SECRET_POST);
    value(reference);
    answer = exchange -> json(exchange, 200, token("canary-2", 60));
    credentials.dropAll();
    assertThat(value(reference)).isEqualTo("canary-2");
    answer = exchange -> json(exchange, 200, token("canary-3", 60));
    clock.advance(Duration.ofSeconds(1));
    assertThat(of(credentials.refresh(reference))).isEqualTo("canary-3");
    clock.advance(Duration.ofSeconds(60));
    credentials.sweep();
    assertThat(credentials.size()).isZero();
  }

  private Credential.ClientCredentials client(ClientAuthentication authentication) {
    return new Credential.ClientCredentials(
        url("/oauth2/token?tenant=1"),
        "valetkey:1",
        authentication,
        SECRET,
        null,
        "read write",
        "aud",
        "https://api.test/");
  }

  private Credential keyFile() {
    try {
      write("key", new ECKeyGenerator(Curve.P_256).generate().toJSONString());
      return new Credential.File("key");
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private String value(Credential reference) {
    return of(credentials.get(reference));
  }

  private static String of(CompletableFuture<UpstreamCredential> future) {
    try {
      return future.get(10, TimeUnit.SECONDS).value().reveal();
    } catch (ExecutionException e) {
      throw (RefusedException) e.getCause();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private org.assertj.core.api.AbstractThrowableAssert<?, ? extends Throwable> refusal(
      Credential reference) {
    return assertThatThrownBy(() -> value(reference)).isInstanceOf(RefusedException.class);
  }

  private String url(String path) {
    return "https://localhost:" + provider.getAddress().getPort() + path;
  }

  private void write(String name, String content) throws IOException {
    Files.writeString(folder.resolve(name), content);
  }

  private void handle(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    Map<String, String> form = new HashMap<>();
    for (String pair : body.split("&")) {
      int equals = pair.indexOf('=');
      if (equals > 0) {
        form.put(
            pair.substring(0, equals),
            URLDecoder.decode(pair.substring(equals + 1), StandardCharsets.UTF_8));
      }
    }
    asked.add(
        new Asked(
            exchange.getRequestURI().toString(),
            form,
            body,
            String.valueOf(exchange.getRequestHeaders().getFirst("Authorization"))));
    answer.handle(exchange);
  }

  private static String token(String value, int seconds) {
    return "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d}"
        .formatted(value, seconds);
  }

  private static void json(HttpExchange exchange, int status, String body) throws IOException {
    answer(exchange, status, "application/json", body);
  }

  private static void answer(HttpExchange exchange, int status, String type, String body)
      throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", type);
    exchange.sendResponseHeaders(status, bytes.length);
    try (OutputStream out = exchange.getResponseBody()) {
      out.write(bytes);
    }
  }

  private static String pem(String label, byte[] der) {
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n"
        .formatted(label, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der), label);
  }

  private static byte[] pkcs1(PrivateKey key) throws IOException {
    return org.bouncycastle.asn1.pkcs.PrivateKeyInfo.getInstance(key.getEncoded())
        .parsePrivateKey()
        .toASN1Primitive()
        .getEncoded();
  }
}
