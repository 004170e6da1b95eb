package io.valetkey.broker.identity;

import static io.valetkey.broker.identity.TestIssuer.AUDIENCE;
import static io.valetkey.broker.identity.TestIssuer.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import io.valetkey.broker.MovableClock;
import io.valetkey.broker.identity.TrustedIssuer.Type;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Step 4 of 02-api section 2: where keys come from, over real sockets. */
class RemoteKeysTest {

  private static final String ISS = "https://oidc.test";

  private final TestServer server = new TestServer();
  private final TestIssuer signer = new TestIssuer("k1");
  private final TestIssuers issuers = new TestIssuers();
  private final MovableClock clock = new MovableClock(NOW);
  private IdentityVerifier verifier = verifier();

  RemoteKeysTest() throws Exception {
    jwksUri(server.tls());
    server.answers(200, TestIssuer.jwks(signer.publicJwk()));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private IdentityVerifier verifier() {
    return new IdentityVerifier(issuers, AUDIENCE, TestIssuer.CRYPTO, a -> true, true, clock);
  }

  private void jwksUri(Tls tls) {
    issuers.with(
        TestIssuers.issuer(Type.OIDC, ISS, new KeySource.JwksUri(server.uri("/jwks"), tls)));
  }

  private static int serial;

  /** A token that no cache has seen. */
  private String token(TestIssuer by) throws Exception {
    Map<String, Object> claims = TestIssuer.claims(ISS);
    claims.put("iat", clock.instant().getEpochSecond());
    claims.put("exp", clock.instant().getEpochSecond() + 600);
    claims.put("n", serial++);
    return by.token(claims);
  }

  private void accepted(TestIssuer by) throws Exception {
    assertThat(verifier.verify(token(by))).isNotNull();
  }

  private void refused(TestIssuer by, ProblemCode code) throws Exception {
    String token = token(by);
    assertThatThrownBy(() -> verifier.verify(token))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.code()).as(e.detail()).isEqualTo(code));
  }

  @Test
  void verify_fetchesOnceAndKeepsTheKeys() throws Exception {
    accepted(signer);
    accepted(signer);
    assertThat(server.requests).hasValue(1);
  }

  @Test
  void verify_whenKeysRotate_acceptsTheNewKeyAtOnceAndForgetsTheOld() throws Exception {
    accepted(signer);
    TestIssuer next = new TestIssuer("k2");
    server.answers(200, TestIssuer.jwks(next.publicJwk()));
    accepted(next);
    assertThat(server.requests).hasValue(2);
    clock.advance(Duration.ofSeconds(31));
    refused(signer, ProblemCode.KEY_UNKNOWN);
  }

  @Test
  void verify_whenKeysRotate_forgetsTokensThatTheOldKeyVerified() throws Exception {
    String old = token(signer);
    verifier.verify(old);
    TestIssuer next = new TestIssuer("k2");
    server.answers(200, TestIssuer.jwks(next.publicJwk()));
    accepted(next);
    assertThatThrownBy(() -> verifier.verify(old)).isInstanceOf(RefusedException.class);
  }

  @Test
  void verify_whenKidIsUnknown_looksAgainOncePerThirtySeconds() throws Exception {
    accepted(signer);
    for (int i = 0; i < 20; i++) {
      refused(new TestIssuer("strange-" + i), ProblemCode.KEY_UNKNOWN);
    }
    assertThat(server.requests).hasValue(2);
    clock.advance(Duration.ofSeconds(30));
    refused(new TestIssuer("strange"), ProblemCode.KEY_UNKNOWN);
    assertThat(server.requests).hasValue(3);
  }

  @Test
  void verify_whenIssuerIsDown_keepsTheLastGoodKeysForFifteenMinutesAndRecovers() throws Exception {
    accepted(signer);
    server.answers(500, "");
    clock.advance(Duration.ofMinutes(15));
    accepted(signer);
    clock.advance(Duration.ofSeconds(1));
    refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
    server.answers(200, TestIssuer.jwks(signer.publicJwk()));
    clock.advance(Duration.ofSeconds(31));
    accepted(signer);
  }

  @Test
  void verify_whenKidIsUnknownAndIssuerIsDown_doesNotBlameTheCaller() throws Exception {
    accepted(signer);
    server.answers(500, "");
    refused(new TestIssuer("new"), ProblemCode.ISSUER_UNAVAILABLE);
    refused(new TestIssuer("new"), ProblemCode.ISSUER_UNAVAILABLE);
    assertThat(server.requests).hasValue(2);
    accepted(signer);
  }

  @Test
  void verify_whenKeysAreOld_readsThemAgainInTheBackground() throws Exception {
    accepted(signer);
    server.answers(200, TestIssuer.jwks(new TestIssuer("k2").publicJwk()));
    clock.advance(KeyFetch.REFRESH_AFTER);
    accepted(signer);
    for (int i = 0; i < 100 && server.requests.get() < 2; i++) {
      Thread.sleep(20);
    }
    assertThat(server.requests).hasValue(2);
    Thread.sleep(200);
    refused(signer, ProblemCode.KEY_UNKNOWN);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "<html><body>login</body></html>",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"k1\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[null,1,\"x\",[]]}",
        "{\"keys\":[],\"keys\":[]}"
      })
  void verify_whenAnswerHoldsNoKeys_isUnavailable(String answer) throws Exception {
    server.answers(200, answer);
    refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
  }

  @Test
  void verify_whenOnlyUnusableKeysArePublished_isUnavailable() throws Exception {
    Map<String, Object> encryption = new HashMap<>(signer.publicJwk());
    encryption.put("use", "enc");
    Map<String, Object> other = new HashMap<>(signer.publicJwk());
    other.put("alg", "RS256");
    server.answers(
        200, TestIssuer.jwks(encryption, other, new HashMap<>(signer.key.toJSONObject())));
    refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
  }

  @Test
  void verify_whenOneKeyIsBroken_usesTheOthers() throws Exception {
    server.answers(
        200,
        TestIssuer.jwks(
            Map.of("kty", "EC", "crv", "P-256", "x", "!", "y", "?"),
            Map.of("kty", "XX"),
            signer.publicJwk()));
    accepted(signer);
  }

  @Test
  void verify_whenRedirected_doesNotFollow() throws Exception {
    server.handler =
        exchange -> {
          if (exchange.getRequestURI().getPath().equals("/jwks")) {
            exchange.getResponseHeaders().add("Location", "/elsewhere");
            TestServer.answer(exchange, 302, "");
          } else {
            TestServer.answer(exchange, 200, TestIssuer.jwks(signer.publicJwk()));
          }
        };
    refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
    assertThat(server.requests).hasValue(1);
  }

  @Test
  void verify_whenAnswerIsEndless_stopsReadingAndRefuses() throws Exception {
    server.handler = RemoteKeysTest::endless;
    refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
  }

  private static void endless(HttpExchange exchange) throws IOException {
    exchange.sendResponseHeaders(200, 0);
    byte[] chunk = " ".repeat(8192).getBytes(StandardCharsets.US_ASCII);
    for (int i = 0; i < 100_000; i++) {
      exchange.getResponseBody().write(chunk);
    }
  }

  @Test
  void verify_whenIssuerIsSilent_refusesWithinItsWait() throws Exception {
    server.handler = exchange -> sleep(10_000);
    long start = System.nanoTime();
    refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
    assertThat(Duration.ofNanos(System.nanoTime() - start))
        .isBetween(Duration.ofMillis(2900), Duration.ofMillis(4000));
  }

  @Test
  void exchange_whenHeadersOrBodyDrip_endsAtTheDeadline() throws Exception {
    try (ServerSocket slow = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      for (String opening : List.of("HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n{")) {
        Thread.ofVirtual().start(() -> drip(slow, opening));
        URI uri = URI.create("http://127.0.0.1:" + slow.getLocalPort() + "/");
        long start = System.nanoTime();
        assertThatThrownBy(() ->
                new BoundedHttp(a -> true, true)
                    .exchange(uri, Tls.PLATFORM, null, BoundedHttp.ANSWER_WITHIN))
            .isInstanceOf(IOException.class);
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(6));
      }
    }
  }

  @Test
  void exchange_whenTlsServerDrips_endsAtTheDeadline() {
    server.handler =
        exchange -> {
          exchange.sendResponseHeaders(200, 0);
          for (int i = 0; i < 40; i++) {
            exchange.getResponseBody().write(' ');
            exchange.getResponseBody().flush();
            sleep(250);
          }
        };
    long start = System.nanoTime();
    assertThatThrownBy(() ->
            new BoundedHttp(a -> true, true)
                .exchange(server.uri("/"), server.tls(), null, BoundedHttp.ANSWER_WITHIN))
        .isInstanceOf(IOException.class);
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(6));
  }

  private static void drip(ServerSocket slow, String opening) {
    try (var socket = slow.accept()) {
      socket.getOutputStream().write(opening.getBytes(StandardCharsets.US_ASCII));
      for (int i = 0; i < 40; i++) {
        socket.getOutputStream().write('a');
        socket.getOutputStream().flush();
        sleep(250);
      }
    } catch (IOException e) {
      // The client has left.
    }
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void verify_whenManyAskAtOnce_fetchesOnce() throws Exception {
    server.handler =
        exchange -> {
          sleep(300);
          TestServer.answer(exchange, 200, TestIssuer.jwks(signer.publicJwk()));
        };
    List<Future<VerifiedWorkload>> all = new ArrayList<>();
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < 50; i++) {
        String token = token(signer);
        all.add(executor.submit(() -> verifier.verify(token)));
      }
      for (Future<VerifiedWorkload> one : all) {
        assertThat(one.get()).isNotNull();
      }
    }
    assertThat(server.requests).hasValue(1);
  }

  @Test
  void verify_trustsThePrivateCaAlone() throws Exception {
    try (TestServer other = new TestServer()) {
      jwksUri(other.tls());
      refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
      jwksUri(Tls.PLATFORM);
      refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
      jwksUri(new Tls("no certificate", null));
      refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
      assertThat(server.requests).hasValue(0);
    }
  }

  @Test
  void verify_whenCertificateIsForAnotherHost_refuses() throws Exception {
    try (TestServer other = new TestServer("other.test")) {
      other.answers(200, TestIssuer.jwks(signer.publicJwk()));
      issuers.with(
          TestIssuers.issuer(
              Type.OIDC, ISS, new KeySource.JwksUri(other.uri("/jwks"), other.tls())));
      refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
      assertThat(other.requests).hasValue(0);
    }
  }

  @Test
  void verify_whenAddressIsNotAllowed_doesNotEvenConnect() throws Exception {
    try (ServerSocket trap = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      trap.setSoTimeout(500);
      List<InetAddress> asked = new ArrayList<>();
      verifier =
          new IdentityVerifier(
              issuers,
              AUDIENCE,
              TestIssuer.CRYPTO,
              address -> {
                asked.add(address);
                return false;
              },
              true,
              clock);
      for (String scheme : List.of("https", "http")) {
        URI uri = URI.create(scheme + "://localhost:" + trap.getLocalPort() + "/");
        issuers.with(TestIssuers.issuer(Type.OIDC, ISS, new KeySource.JwksUri(uri, Tls.PLATFORM)));
        refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
      }
      assertThat(asked).hasSizeGreaterThanOrEqualTo(2);
      assertThatThrownBy(trap::accept).isInstanceOf(SocketTimeoutException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://example.test/jwks",
        "http://127.0.0.1.nip.test/jwks",
        "http://localhost@example.test/jwks",
        "file:///etc/passwd",
        "ftp://localhost/jwks",
        "jar:file:///x!/y"
      })
  void exchange_whenNotHttps_refuses(String uri) {
    assertThatThrownBy(() ->
            new BoundedHttp(a -> true, true)
                .exchange(URI.create(uri), Tls.PLATFORM, null, BoundedHttp.ANSWER_WITHIN))
        .isInstanceOf(IOException.class);
  }

  @Test
  void exchange_whenLoopbackHttpIsNotAllowed_refuses() {
    assertThatThrownBy(() ->
            new BoundedHttp(a -> true, false)
                .exchange(
                    URI.create("http://127.0.0.1:9/"),
                    Tls.PLATFORM,
                    null,
                    BoundedHttp.ANSWER_WITHIN))
        .hasMessageContaining("https");
  }

  @Test
  void verify_readsTheBearerFileEachTime(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("token");
    Files.writeString(file, "first\n");
    jwksUri(new Tls(server.caPem, file));
    accepted(signer);
    Files.writeString(file, "second");
    refused(new TestIssuer("k2"), ProblemCode.KEY_UNKNOWN);
    assertThat(server.authorizations).containsExactly("Bearer first", "Bearer second");
    Files.delete(file);
    clock.advance(Duration.ofSeconds(31));
    refused(new TestIssuer("k3"), ProblemCode.ISSUER_UNAVAILABLE);
  }

  @Test
  void verify_whenDiscovered_requiresTheSameIssuer() throws Exception {
    URI base = server.uri("");
    String jwks = TestIssuer.jwks(signer.publicJwk());
    String document = "{\"issuer\":\"%s\",\"jwks_uri\":\"%s\"}";
    discovery(document.formatted(base, server.uri("/keys")), jwks);
    issuers.with(TestIssuers.issuer(Type.OIDC, ISS, new KeySource.Discovery(base, server.tls())));
    accepted(signer);

    for (String bad :
        List.of(
            document.formatted(base + "/", server.uri("/keys")),
            document.formatted("https://evil.test", server.uri("/keys")),
            document.formatted(base, "http://example.test/keys"),
            document.formatted(base, "file:///etc/passwd"),
            document.formatted(base, "not a uri"),
            "{\"issuer\":\"" + base + "\"}",
            "<html>")) {
      discovery(bad, jwks);
      issuers.with(TestIssuers.issuer(Type.OIDC, ISS, new KeySource.Discovery(base, server.tls())));
      refused(signer, ProblemCode.ISSUER_UNAVAILABLE);
    }
  }

  private void discovery(String document, String jwks) {
    server.handler =
        exchange ->
            TestServer.answer(
                exchange,
                200,
                exchange.getRequestURI().getPath().equals("/.well-known/openid-configuration")
                    ? document
                    : jwks);
  }

  @Test
  void verify_whenSpiffeBundle_usesJwtSvidKeysAloneAndHonoursTheHint() throws Exception {
    Map<String, Object> jwtSvid = new HashMap<>(signer.publicJwk());
    jwtSvid.put("use", "jwt-svid");
    TestIssuer x509 = new TestIssuer("x");
    Map<String, Object> x509Svid = new HashMap<>(x509.publicJwk());
    x509Svid.put("use", "x509-svid");
    TestIssuer unnamed = new TestIssuer("u");
    String keys = TestIssuer.jwks(jwtSvid, x509Svid, unnamed.publicJwk());
    server.answers(200, keys.substring(0, keys.length() - 1) + ",\"spiffe_refresh_hint\":60}");
    issuers.with(
        TestIssuers.issuer(
            Type.SPIFFE,
            "td-a.test",
            new KeySource.SpiffeBundle(server.uri("/bundle"), server.tls())));
    assertThat(verifier.verify(svid(signer)).subject()).isEqualTo("spiffe://td-a.test/bot");
    for (TestIssuer other : List.of(x509, unnamed)) {
      String token = svid(other);
      assertThatThrownBy(() -> verifier.verify(token)).isInstanceOf(RefusedException.class);
    }
    int before = server.requests.get();
    clock.advance(Duration.ofSeconds(61));
    verifier.verify(svid(signer));
    for (int i = 0; i < 100 && server.requests.get() == before; i++) {
      Thread.sleep(20);
    }
    assertThat(server.requests).hasValue(before + 1);
  }

  private String svid(TestIssuer by) throws Exception {
    Map<String, Object> claims = TestIssuer.claims("x");
    claims.remove("iss");
    claims.put("sub", "spiffe://td-a.test/bot");
    claims.put("n", serial++);
    return by.token(claims);
  }
}
