package io.valetkey.client.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.client.AccessToken;
import io.valetkey.client.MovableClock;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.KeyFactory;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.time.Duration;
import java.util.Base64;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The double speaks the wire contract, so that what passes against it passes in earnest. */
class FakeValetkeyTest {
  private static final String GOOD =
      "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=a.b.c"
          + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience=openai";

  private final MovableClock clock = new MovableClock();
  private final FakeValetkey fake =
      FakeValetkey.builder().clock(clock).tokenLife(Duration.ofSeconds(60)).start();
  private final HttpClient http = HttpClient.newHttpClient();

  @AfterEach
  void stop() {
    fake.close();
  }

  private HttpResponse<String> post(String path, String form) throws Exception {
    return http.send(
        HttpRequest.newBuilder(URI.create(fake.brokerUrl() + path))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form))
            .build(),
        BodyHandlers.ofString());
  }

  private HttpResponse<String> get(String path, String... headers) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(fake.gatewayUrl() + path));
    if (headers.length > 0) {
      request.headers(headers);
    }
    return http.send(request.build(), BodyHandlers.ofString());
  }

  private static String decoded(String part) {
    return new String(Base64.getUrlDecoder().decode(part), StandardCharsets.UTF_8);
  }

  private static BigInteger coordinate(String jwks, String name) {
    String value = jwks.replaceAll(".*\"" + name + "\":\"([^\"]*)\".*", "$1");
    byte[] bytes = Base64.getUrlDecoder().decode(value);
    assertThat(bytes).hasSize(32);
    return new BigInteger(1, bytes);
  }

  @Test
  void token_isAnAccessTokenOfRfc9068ThatTheKeySetVerifies() throws Exception {
    String token = fake.connect().destination("openai").withScopes("chat").token().value();
    String[] parts = token.split("\\.");
    assertThat(decoded(parts[0]))
        .isEqualTo("{\"typ\":\"at+jwt\",\"alg\":\"ES256\",\"kid\":\"fake-1\"}");
    long now = clock.instant().getEpochSecond();
    assertThat(decoded(parts[1]))
        .contains("\"iss\":\"" + fake.brokerUrl() + "\"")
        .contains("\"aud\":\"" + fake.gatewayUrl() + "/d/openai\"")
        .contains("\"iat\":" + now, "\"exp\":" + (now + 60), "\"scope\":\"chat\"")
        .contains("\"sub\":", "\"client_id\":", "\"jti\":", "\"wid\":");
    String jwks = get("/oauth2/jwks").body();
    AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
    curve.init(new ECGenParameterSpec("secp256r1"));
    Signature signature = Signature.getInstance("SHA256withECDSAinP1363Format");
    signature.initVerify(
        KeyFactory.getInstance("EC")
            .generatePublic(
                new ECPublicKeySpec(
                    new ECPoint(coordinate(jwks, "x"), coordinate(jwks, "y")),
                    curve.getParameterSpec(ECParameterSpec.class))));
    signature.update((parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII));
    assertThat(signature.verify(Base64.getUrlDecoder().decode(parts[2]))).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "&audience=openai | &audience=openai&subject_token=a.b.c | invalid_request",
        "subject_token=a.b.c | subject_token=opaque | invalid_request",
        "token-type:jwt | token-type:saml2 | invalid_request",
        "&audience=openai | &audience=openai&actor_token=x | invalid_request",
        "&audience=openai | &audience=openai&junk | invalid_request",
        "grant-type:token-exchange | grant-type:other | unsupported_grant_type",
        "&audience=openai | &x=y | invalid_target",
        "&audience=openai | &audience=Open+AI | invalid_target",
        "&audience=openai | &audience=openai&resource=https://x/d/openai | invalid_target",
        "&audience=openai | &audience=openai&scope=a++b | invalid_scope",
      })
  void tokenEndpoint_whenTheFormIsWrong_refuses(String right, String wrong, String error)
      throws Exception {
    assertThat(GOOD).contains(right);
    HttpResponse<String> answer = post("/oauth2/token", GOOD.replace(right, wrong));
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("\"error\":\"" + error + "\"", "\"decision_id\":");
    assertThat(answer.headers().firstValue("Cache-Control")).contains("no-store");
    assertThat(fake.issuedTokens()).isZero();
  }

  @Test
  void tokenEndpoint_checksMethodTypeSizeAndPlaceOfTheParameters() throws Exception {
    assertThat(post("/oauth2/token", GOOD).statusCode()).isEqualTo(200);
    assertThat(post("/oauth2/token?scope=x", GOOD).body()).contains("invalid_request");
    assertThat(get("/oauth2/token").statusCode()).isEqualTo(405);
    assertThat(post("/oauth2/token", GOOD + "&x=" + "y".repeat(70_000)).statusCode())
        .isEqualTo(413);
    HttpRequest json =
        HttpRequest.newBuilder(URI.create(fake.brokerUrl() + "/oauth2/token"))
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString("{}"))
            .build();
    assertThat(http.send(json, BodyHandlers.discarding()).statusCode()).isEqualTo(415);
    String resource = "&resource=" + fake.gatewayUrl() + "/d/openai";
    assertThat(post("/oauth2/token", GOOD.replace("&audience=openai", resource)).statusCode())
        .isEqualTo(200);
  }

  @Test
  void gateway_acceptsItsOwnTokenForItsDestinationUntilItEnds() throws Exception {
    String token = fake.connect().destination("openai").token().value();
    assertThat(get("/d/openai/v1", "Authorization", "Bearer " + token).statusCode()).isEqualTo(200);
    assertThat(get("/d/openai/v1", "x-api-key", token).statusCode()).isEqualTo(200);
    assertThat(get("/d/openai/v1", "x-api-key", token, "api-key", token).statusCode())
        .isEqualTo(400);
    assertThat(get("/d/github/v1", "Authorization", "Bearer " + token).statusCode()).isEqualTo(401);
    clock.advance(Duration.ofSeconds(60));
    HttpResponse<String> late = get("/d/openai/v1", "Authorization", "Bearer " + token);
    assertThat(late.statusCode()).isEqualTo(401);
    assertThat(late.headers().firstValue("Valetkey-Error")).contains("invalid_token");
    assertThat(late.headers().firstValue("WWW-Authenticate").orElse(""))
        .contains("error=\"invalid_token\"");
    assertThat(fake.received()).hasSize(2);
    assertThat(fake.received().toString()).doesNotContain(token);
  }

  @Test
  void gateway_withoutAToken_challengesPlainly() throws Exception {
    HttpResponse<String> answer = get("/d/openai/v1");
    assertThat(answer.statusCode()).isEqualTo(401);
    assertThat(answer.headers().firstValue("WWW-Authenticate").orElse(""))
        .startsWith("Bearer")
        .doesNotContain("error=");
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.b.c", "nonsense"})
  void gateway_refusesForeignTokens(String token) throws Exception {
    assertThat(get("/d/openai/v1", "Authorization", "Bearer " + token).statusCode()).isEqualTo(401);
    try (FakeValetkey other = FakeValetkey.start()) {
      AccessToken foreign = other.connect().destination("openai").token();
      assertThat(get("/d/openai/v1", "x-api-key", foreign.value()).statusCode()).isEqualTo(401);
    }
    assertThat(get("/d/openai/v1", "x-api-key", fake.identityToken()).statusCode()).isEqualTo(401);
  }

  @Test
  void builder_refusesLivesOutsideTheContract() {
    assertThatThrownBy(() -> FakeValetkey.builder().tokenLife(Duration.ofMillis(999)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> FakeValetkey.builder().tokenLife(Duration.ofHours(2)))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
