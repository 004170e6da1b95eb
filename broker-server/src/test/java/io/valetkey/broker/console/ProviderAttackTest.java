package io.valetkey.broker.console;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.crypto.Sha256;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What neither a provider nor a page elsewhere can do with a sign-in. Invariant U9. */
class ProviderAttackTest {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static FalseProvider provider;
  private static Map<String, String> settings;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    provider = new FalseProvider();
    settings =
        Map.of(
            "valetkey.admin.oidc.issuer",
            provider.issuer(),
            "valetkey.console.oidc.client-id",
            FalseProvider.CLIENT);
    broker = RunningBroker.start(settings);
  }

  @AfterAll
  static void stop() {
    broker.close();
    provider.close();
  }

  /** What a browser that set out holds, and what it was sent with. */
  private record Begun(String cookie, URI there, Map<String, String> question) {

    String state() {
      return question.getOrDefault("state", "");
    }

    String nonce() {
      return question.getOrDefault("nonce", "");
    }

    String answer() {
      return "code=c&state=" + state() + "&iss=" + encode(provider.issuer());
    }
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  private static HttpResponse<String> get(String url, @Nullable String cookie) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(url));
    if (cookie != null) {
      request.header("Cookie", cookie);
    }
    return HTTP.send(request.build(), BodyHandlers.ofString());
  }

  private static Begun begin(String next) throws Exception {
    HttpResponse<String> answer =
        get(broker.url() + ConsoleRoutes.PROVIDER + "?next=" + encode(next), null);
    assertThat(answer.statusCode()).isEqualTo(303);
    String set = answer.headers().firstValue("Set-Cookie").orElseThrow();
    assertThat(set).contains("HttpOnly", "SameSite=Lax", "Max-Age=600", "Path=/");
    URI there = URI.create(answer.headers().firstValue("Location").orElseThrow());
    Map<String, String> question = new HashMap<>();
    for (String field : there.getRawQuery().split("&")) {
      String[] parts = field.split("=", 2);
      question.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
    }
    return new Begun(set.substring(0, set.indexOf(';')), there, question);
  }

  private static HttpResponse<String> finish(@Nullable String cookie, String answer)
      throws Exception {
    return get(broker.url() + ConsoleRoutes.CALLBACK + "?" + answer, cookie);
  }

  private static @Nullable String session(HttpResponse<String> answer) {
    return answer.headers().allValues("Set-Cookie").stream()
        .filter(set -> set.startsWith("valetkey-console="))
        .map(set -> set.substring(0, set.indexOf(';')))
        .findFirst()
        .orElse(null);
  }

  private static void assertRefused(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).as(answer.body()).isBetween(400, 503);
    assertThat(session(answer)).isNull();
    assertThat(answer.body()).contains("You are not signed in.");
  }

  private static long refusals(String reason) throws Exception {
    try (var connection = broker.database();
        var statement =
            connection.prepareStatement(
                "SELECT count(*) FROM audit_record WHERE action = 'console.sign_in' AND outcome ="
                    + " 'refused' AND details->>'via' = 'oidc' AND reason = ?")) {
      statement.setString(1, reason);
      try (var rows = statement.executeQuery()) {
        rows.next();
        return rows.getLong(1);
      }
    }
  }

  @Test
  void goodAnswer_signsInWithANewSession_whateverTheBrowserHadBefore() throws Exception {
    Begun begun = begin("/console/stops");
    assertThat(begun.there().toString()).startsWith(provider.issuer() + "/authorize?tenant=a&");
    assertThat(begun.question())
        .containsEntry("response_type", "code")
        .containsEntry("scope", "openid")
        .containsEntry("code_challenge_method", "S256")
        .containsEntry("redirect_uri", broker.url() + ConsoleRoutes.CALLBACK);
    provider.give(provider.sign(provider.claims(begun.nonce()).build()));
    HttpResponse<String> answer =
        finish(
            begun.cookie() + "; valetkey-console=planted-0123456789012345678901234567890123456",
            begun.answer());
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(303);
    assertThat(answer.headers().firstValue("Location")).hasValue("/console/stops");
    assertThat(session(answer)).isNotNull().doesNotContain("planted");
    assertThat(get(broker.url() + "/console/stops", session(answer)).body())
        .contains("sub-of-olga")
        .contains("viewer");
    Map<String, String> redeemed = provider.redeemed.getLast();
    assertThat(redeemed)
        .containsEntry("client_id", FalseProvider.CLIENT)
        .containsEntry("redirect_uri", broker.url() + ConsoleRoutes.CALLBACK);
    assertThat(
            Base64.getUrlEncoder()
                .withoutPadding()
                .encodeToString(Sha256.of(redeemed.getOrDefault("code_verifier", ""))))
        .isEqualTo(begun.question().get("code_challenge"));
  }

  static Stream<Arguments> wrongClaims() {
    return Stream.of(
        wrong("nonce of another", claims -> claims.claim("nonce", "another")),
        wrong("no nonce", claims -> claims.claim("nonce", null)),
        wrong("nonce in a list", claims -> claims.claim("nonce", List.of("x"))),
        wrong("another audience", claims -> claims.audience("another")),
        wrong("no audience", claims -> claims.audience((String) null)),
        wrong(
            "several audiences, no azp",
            claims -> claims.audience(List.of(FalseProvider.CLIENT, "another"))),
        wrong(
            "several audiences, made for another",
            claims ->
                claims.audience(List.of(FalseProvider.CLIENT, "another")).claim("azp", "another")),
        wrong("azp of another", claims -> claims.claim("azp", "another")),
        wrong("another issuer", claims -> claims.issuer("https://another.test")),
        wrong("no issuer", claims -> claims.issuer(null)),
        wrong("ended", claims -> claims.expirationTime(in(-10))),
        wrong("no end", claims -> claims.expirationTime(null)),
        wrong("made long ago", claims -> claims.issueTime(in(-900))),
        wrong("made in the future", claims -> claims.issueTime(in(60))),
        wrong("no time", claims -> claims.issueTime(null)),
        wrong("not valid yet", claims -> claims.notBeforeTime(in(60))),
        wrong("no subject", claims -> claims.subject(null)),
        wrong("a subject of two lines", claims -> claims.subject("a\nb")),
        wrong("roles that are none", claims -> claims.claim("roles", List.of("Admin", "root"))),
        wrong("the role of a sensor", claims -> claims.claim("roles", "sensor")));
  }

  private static Date in(int seconds) {
    return Date.from(Instant.now().plusSeconds(seconds));
  }

  private static Arguments wrong(String name, Consumer<JWTClaimsSet.Builder> change) {
    return Arguments.of(name, change);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("wrongClaims")
  void idToken_whoseClaimsAreWrong_signsNobodyIn(String name, Consumer<JWTClaimsSet.Builder> change)
      throws Exception {
    Begun begun = begin("/console");
    JWTClaimsSet.Builder claims = provider.claims(begun.nonce());
    change.accept(claims);
    provider.give(provider.sign(claims.build()));
    assertRefused(finish(begun.cookie(), begun.answer()));
  }

  @Test
  void idToken_forSeveralButMadeForUs_isAccepted() throws Exception {
    Begun begun = begin("/console");
    provider.give(
        provider.sign(
            provider
                .claims(begun.nonce())
                .audience(List.of("another", FalseProvider.CLIENT))
                .claim("azp", FalseProvider.CLIENT)
                .build()));
    assertThat(finish(begun.cookie(), begun.answer()).statusCode()).isEqualTo(303);
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "hmac", "another key", "type", "not a token"})
  void idToken_whoseSignatureIsNotTheProviders_signsNobodyIn(String how) throws Exception {
    Begun begun = begin("/console");
    JWTClaimsSet claims = provider.claims(begun.nonce()).build();
    provider.give(
        switch (how) {
          case "none" -> new PlainJWT(claims).serialize();
          case "hmac" -> {
            var jwt = new SignedJWT(new JWSHeader(JWSAlgorithm.HS256), claims);
            jwt.sign(new MACSigner(provider.key().toPublicJWK().toJSONString()));
            yield jwt.serialize();
          }
          case "another key" ->
              FalseProvider.sign(
                  claims, new ECKeyGenerator(Curve.P_256).keyID("k1").generate(), "JWT");
          case "type" -> FalseProvider.sign(claims, provider.key(), "at+jwt");
          default -> "not a token";
        });
    assertRefused(finish(begun.cookie(), begun.answer()));
  }

  /** Login CSRF: an answer that another browser's sign-in led to is nothing here. */
  @Test
  void answer_toAnotherBrowser_isRefusedBeforeTheCodeIsUsed() throws Exception {
    Begun mine = begin("/console");
    Begun others = begin("/console");
    provider.give(provider.sign(provider.claims(others.nonce()).build()));
    int before = provider.redeemed.size();
    long refused = refusals("forbidden");
    assertRefused(finish(mine.cookie(), others.answer()));
    assertRefused(finish(null, others.answer()));
    assertRefused(finish(mine.cookie(), "code=c&iss=" + encode(provider.issuer())));
    assertRefused(finish(others.cookie(), others.answer() + "&state=" + others.state()));
    assertRefused(finish(others.cookie() + "; " + mine.cookie(), others.answer()));
    assertThat(provider.redeemed).hasSize(before);
    for (int i = 0; i < 100 && refusals("forbidden") < refused + 5; i++) {
      Thread.sleep(20);
    }
    assertThat(refusals("forbidden")).as("each leaves a record").isEqualTo(refused + 5);
    assertThat(finish(others.cookie(), others.answer()).statusCode())
        .as("and the true one still works")
        .isEqualTo(303);
  }

  @Test
  void answer_thatComesAgain_isRefusedAtEveryReplica() throws Exception {
    Begun begun = begin("/console");
    provider.give(provider.sign(provider.claims(begun.nonce()).build()));
    assertThat(finish(begun.cookie(), begun.answer()).statusCode()).isEqualTo(303);
    int before = provider.redeemed.size();
    assertRefused(finish(begun.cookie(), begun.answer()));
    try (RunningBroker replica = broker.replica(settings)) {
      assertRefused(
          get(replica.url() + ConsoleRoutes.CALLBACK + "?" + begun.answer(), begun.cookie()));
    }
    assertThat(provider.redeemed).hasSize(before);
  }

  /** Mix-up (RFC 9207): the provider says that it names itself, so it must. */
  @Test
  void answer_ofAnotherProvider_isRefusedBeforeTheCodeIsUsed() throws Exception {
    int before = provider.redeemed.size();
    Begun begun = begin("/console");
    String answer = "code=c&state=" + begun.state();
    assertRefused(finish(begun.cookie(), answer));
    assertRefused(finish(begun.cookie(), answer + "&iss=https%3A%2F%2Fanother.test"));
    assertRefused(finish(begun.cookie(), begun.answer() + "&iss=" + encode(provider.issuer())));
    assertThat(provider.redeemed).hasSize(before);
  }

  @Test
  void answer_thatIsAnError_isShownByItsWordAlone() throws Exception {
    Begun begun = begin("/console");
    String iss = "&iss=" + encode(provider.issuer());
    HttpResponse<String> denied =
        finish(
            begun.cookie(),
            "error=access_denied&error_description=call+0900&state=" + begun.state() + iss);
    assertRefused(denied);
    assertThat(denied.body()).contains("access_denied").doesNotContain("0900");
    Begun other = begin("/console");
    HttpResponse<String> odd =
        finish(other.cookie(), "error=Call+0900&code=c&state=" + other.state() + iss);
    assertRefused(odd);
    assertThat(odd.body()).doesNotContain("0900");
  }

  @ParameterizedTest
  @ValueSource(strings = {"slow", "huge", "redirect", "error", "not JSON", "no ID token"})
  void tokenEndpoint_thatMisbehaves_costsItsSignInAndNothingElse(String how) throws Exception {
    Begun begun = begin("/console");
    String good = provider.sign(provider.claims(begun.nonce()).build());
    provider.answer =
        switch (how) {
          case "slow" ->
              exchange -> {
                exchange.sendResponseHeaders(200, 0);
                for (int i = 0; i < 300; i++) {
                  exchange.getResponseBody().write(' ');
                  exchange.getResponseBody().flush();
                  sleep();
                }
              };
          case "huge" ->
              exchange ->
                  FalseProvider.send(
                      exchange, 200, "{\"id_token\":\"" + good + "\"}" + " ".repeat(200_000));
          case "redirect" ->
              exchange -> {
                exchange.getResponseHeaders().set("Location", provider.issuer() + "/elsewhere");
                FalseProvider.send(exchange, 307, "{}");
              };
          case "error" ->
              exchange -> FalseProvider.send(exchange, 400, "{\"error\":\"invalid_grant\"}");
          case "not JSON" ->
              exchange ->
                  FalseProvider.send(
                      exchange, 200, "{\"id_token\":\"x\",\"id_token\":\"" + good + "\"}");
          default -> exchange -> FalseProvider.send(exchange, 200, "{\"access_token\":\"a\"}");
        };
    Instant before = Instant.now();
    HttpResponse<String> answer = finish(begun.cookie(), begun.answer());
    assertRefused(answer);
    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(Duration.between(before, Instant.now())).isLessThan(Duration.ofSeconds(8));
    assertThat(get(broker.url() + ConsoleRoutes.SIGN_IN, null).statusCode()).isEqualTo(200);
  }

  private static void sleep() {
    try {
      Thread.sleep(100);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "/console/../evil",
        "/oauth2/token",
        "/console/live\r\nSet-Cookie: a=b"
      })
  void next_whichIsNotAPageOfOurs_isForgotten(String next) throws Exception {
    Begun begun = begin(next);
    provider.give(provider.sign(provider.claims(begun.nonce()).build()));
    assertThat(finish(begun.cookie(), begun.answer()).headers().firstValue("Location"))
        .hasValue(ConsoleRoutes.LIVE);
  }

  @Test
  void attempt_isOverInTenMinutes_andItsStateFitsNoOtherTimeOrPage() {
    Instant now = Instant.ofEpochSecond(1_800_000_000L);
    SignInAttempt attempt = SignInAttempt.begin(new SecureRandom(), now, ConsoleRoutes.STOPS);
    String state = attempt.state();
    assertThat(read(attempt.cookie()).isAnsweredBy(state, now.plusSeconds(599))).isTrue();
    assertThat(read(attempt.cookie()).isAnsweredBy(state, now.plusSeconds(600))).isFalse();
    assertThat(read(attempt.cookie()).isAnsweredBy(state, now.minusSeconds(61)))
        .as("nobody sets out in the future")
        .isFalse();
    String later = attempt.cookie().replace(".1800000000.", ".1800000300.");
    assertThat(read(later).isAnsweredBy(state, now.plusSeconds(601))).isFalse();
    String elsewhere = attempt.cookie().replaceFirst("[^.]*$", "L2NvbnNvbGUvYXVkaXQ");
    assertThat(read(elsewhere).next()).isEqualTo("/console/audit");
    assertThat(read(elsewhere).isAnsweredBy(state, now)).isFalse();
    assertThat(SignInAttempt.of("x")).isEmpty();
    assertThat(List.of(attempt.state(), attempt.nonce(), attempt.verifier()))
        .doesNotHaveDuplicates()
        .allSatisfy(secret -> assertThat(secret).matches("[A-Za-z0-9_-]{43}"));
  }

  private static SignInAttempt read(String cookie) {
    return SignInAttempt.of(cookie).orElseThrow();
  }
}
