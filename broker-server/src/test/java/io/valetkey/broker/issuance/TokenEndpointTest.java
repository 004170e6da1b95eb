package io.valetkey.broker.issuance;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.stop.StopView;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The token endpoint by its contract, on real sockets and a real database. Invariants: P1, P4. */
class TokenEndpointTest {

  private static final String EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
  private static final String JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static final TestIssuer STRANGER = new TestIssuer("stranger");
  private static RunningBroker broker;
  private static HttpClient client;

  @BeforeAll
  static void start() throws Exception {
    broker = RunningBroker.start(Map.of());
    client = HttpClient.newHttpClient();
    String origin =
        "{\"kind\":\"http\",\"origin\":\"https://%s\",\"credential\":"
            + "{\"source\":\"file\",\"name\":\"key\"}}";
    var policies =
        new Policies(broker)
            .issuer(ISSUER)
            .agent("bot", "ci", "bot-subject", "")
            .agent("idle", "ci", "idle-subject", "")
            .agent("off", "ci", "off-subject", ",\"enabled\":false")
            .destination("openai", origin.formatted("api.openai.test"))
            .destination("github", origin.formatted("api.github.test"))
            .destination("other", origin.formatted("api.other.test"))
            .scope("openai", "chat", "{\"allow\":[],\"maxTokenTtl\":\"2m\"}")
            .scope("openai", "files", "{\"allow\":[]}")
            .scope("openai", "admin", "{\"allow\":[]}")
            .scope("github", "read", "{\"allow\":[]}")
            .grant("bot-openai", "bot", "openai", List.of("chat", "files"))
            .grant("bot-github", "bot", "github", List.of("read"));
    policies.await(broker);
  }

  @AfterAll
  static void stop() {
    client.close();
    broker.close();
  }

  record Answer(int status, JsonNode body, HttpResponse<String> http) {}

  static Answer post(String body, String... headers) throws Exception {
    var request =
        HttpRequest.newBuilder(broker.api("/oauth2/token"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(body));
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    HttpResponse<String> response = client.send(request.build(), BodyHandlers.ofString());
    return new Answer(
        response.statusCode(), JsonMapper.shared().readTree(response.body()), response);
  }

  static String form(Map<String, String> parameters) {
    return parameters.entrySet().stream()
        .map(e -> e.getKey() + "=" + URLEncoder.encode(e.getValue(), StandardCharsets.UTF_8))
        .collect(Collectors.joining("&"));
  }

  static Map<String, String> w1(String identityToken) {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("grant_type", "client_credentials");
    form.put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.put("client_assertion", identityToken);
    form.put("audience", "openai");
    return form;
  }

  static Map<String, String> w2(String identityToken) {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("grant_type", EXCHANGE);
    form.put("subject_token", identityToken);
    form.put("subject_token_type", JWT_TYPE);
    form.put("audience", "openai");
    return form;
  }

  static String identity() {
    return ISSUER.token("bot-subject", broker.url());
  }

  static Map<String, String> with(Map<String, String> form, String name, String value) {
    form.put(name, value);
    return form;
  }

  @Test
  void exchange_byABoundWorkload_answersAnAccessTokenOfTheContract() throws Exception {
    Answer answer = post(form(w2(identity())));

    assertThat(answer.status()).as(answer.http().body()).isEqualTo(200);
    assertThat(answer.http().headers().firstValue("Cache-Control")).contains("no-store");
    assertThat(answer.body().path("token_type").asString()).isEqualTo("Bearer");
    assertThat(answer.body().path("expires_in").asLong()).isEqualTo(120);
    assertThat(answer.body().path("scope").asString()).isEqualTo("chat files");
    assertThat(answer.body().path("issued_token_type").asString())
        .isEqualTo("urn:ietf:params:oauth:token-type:access_token");
    assertThat(answer.body().has("refresh_token")).isFalse();
    SignedJWT token = SignedJWT.parse(answer.body().path("access_token").asString());
    assertThat(token.getHeader().toJSONObject())
        .containsOnlyKeys("typ", "alg", "kid")
        .containsEntry("typ", "at+jwt");
    JWKSet keys = JWKSet.load(broker.api("/oauth2/jwks").toURL());
    var key = keys.getKeyByKeyId(token.getHeader().getKeyID());
    assertThat(token.verify(new ECDSAVerifier(key.toECKey()))).isTrue();
    var claims = token.getJWTClaimsSet();
    assertThat(claims.getIssuer()).isEqualTo(broker.url());
    assertThat(claims.getAudience()).containsExactly(broker.gatewayUrl() + "/d/openai");
    assertThat(claims.getStringClaim("client_id")).isEqualTo("bot");
    assertThat(claims.getStringClaim("scope")).isEqualTo("chat files");
    assertThat(claims.getExpirationTime().getTime() - claims.getIssueTime().getTime())
        .isEqualTo(120_000);
    assertThat(claims.getJSONObjectClaim("wid"))
        .containsEntry("iss", "ci")
        .containsEntry("sub", "bot-subject");
    assertThat(recordOf(claims.getJWTID(), "jti"))
        .containsEntry("outcome", "granted")
        .containsEntry("agent", "bot")
        .containsEntry("destination", "openai");
  }

  @Test
  void clientCredentials_withAnAssertion_answersWithoutIssuedTokenType() throws Exception {
    Answer answer = post(form(with(w1(identity()), "client_id", "bot")));

    assertThat(answer.status()).as(answer.http().body()).isEqualTo(200);
    assertThat(answer.body().has("issued_token_type")).isFalse();
  }

  @Test
  void token_neverOutlivesTheIdentityToken() throws Exception {
    String shortLived =
        ISSUER.token(
            "bot-subject",
            broker.url(),
            c -> c.expirationTime(Date.from(java.time.Instant.now().plusSeconds(30))));

    Answer answer = post(form(w2(shortLived)));

    assertThat(answer.body().path("expires_in").asLong()).isBetween(25L, 30L);
  }

  @Test
  void resourceAndAudience_namingTheSameDestination_areAccepted() throws Exception {
    String body =
        form(w2(identity()))
            + "&resource="
            + URLEncoder.encode(broker.gatewayUrl() + "/d/openai", StandardCharsets.UTF_8);

    assertThat(post(body).status()).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource({
    "audience, nowhere, 400, invalid_target, destination_unknown",
    "audience, other, 400, invalid_target, not_granted",
    "resource, https://elsewhere.test/d/openai, 400, invalid_target, invalid_target",
    "scope, admin, 400, invalid_scope, invalid_scope",
    "scope, chat  files, 400, invalid_scope, invalid_scope",
    "grant_type, password, 400, unsupported_grant_type, unsupported_grant_type",
    "subject_token_type, urn:ietf:params:oauth:token-type:saml2, 400, invalid_request, invalid_request",
    "requested_token_type, urn:ietf:params:oauth:token-type:refresh_token, 400, invalid_request, invalid_request",
    "actor_token, x, 400, invalid_request, invalid_request",
    "subject_token, x, 400, invalid_request, token_malformed",
  })
  void exchange_withAWrongParameter_isRefusedWithItsErrorAndRecorded(
      String name, String value, int status, String error, String reason) throws Exception {
    Answer answer = post(form(with(w2(identity()), name, value)));

    assertThat(answer.status()).isEqualTo(status);
    assertThat(answer.body().path("error").asString()).isEqualTo(error);
    String id = answer.body().path("decision_id").asString();
    assertThat(recordOf(id, "decision_id::text")).containsEntry("reason", reason);
  }

  @Test
  void noTarget_withSeveralGrants_isInvalidTarget() throws Exception {
    Map<String, String> form = w2(identity());
    form.remove("audience");

    assertThat(post(form(form)).body().path("error").asString()).isEqualTo("invalid_target");
  }

  @Test
  void unknownAndUngrantedDestination_areByteIdenticalApartFromTheId() throws Exception {
    Answer unknown = post(form(with(w2(identity()), "audience", "nowhere")));
    Answer ungranted = post(form(with(w2(identity()), "audience", "other")));

    assertThat(withoutId(unknown)).isEqualTo(withoutId(ungranted));
  }

  private static String withoutId(Answer answer) {
    return answer.http().body().replaceAll("\"decision_id\":\"[^\"]+\"", "");
  }

  @Test
  void badIdentities_lookTheSameOnTheWire_andDifferentInTheRecord() throws Exception {
    String good = identity();
    String tampered = good.substring(0, good.length() - 10) + "AAAAAAAAAA";
    Map<String, String> tokens = new LinkedHashMap<>();
    tokens.put("issuer_unknown", STRANGER.token("bot-subject", broker.url()));
    tokens.put("signature_invalid", tampered);
    tokens.put("audience_mismatch", ISSUER.token("bot-subject", "https://other.test"));
    tokens.put(
        "token_expired",
        ISSUER.token(
            "bot-subject",
            broker.url(),
            c ->
                c.expirationTime(new Date(System.currentTimeMillis() - 10_000))
                    .issueTime(new Date(System.currentTimeMillis() - 60_000))));
    tokens.put("agent_unknown", ISSUER.token("nobody", broker.url()));
    tokens.put("agent_disabled", ISSUER.token("off-subject", broker.url()));
    String first = null;
    for (var entry : tokens.entrySet()) {
      Answer exchange = post(form(w2(entry.getValue())));
      Answer credentials = post(form(w1(entry.getValue())));
      assertThat(exchange.status()).as(entry.getKey()).isEqualTo(400);
      assertThat(credentials.status()).as(entry.getKey()).isEqualTo(401);
      assertThat(credentials.body().path("error").asString()).isEqualTo("invalid_client");
      first = first == null ? withoutId(exchange) : first;
      assertThat(withoutId(exchange)).as(entry.getKey()).isEqualTo(first);
      assertThat(recordOf(exchange.body().path("decision_id").asString(), "decision_id::text"))
          .containsEntry("reason", entry.getKey());
    }
  }

  @Test
  void zeroGrants_isZeroAccess() throws Exception {
    Answer answer = post(form(w2(ISSUER.token("idle-subject", broker.url()))));

    assertThat(answer.body().path("error").asString()).isEqualTo("invalid_target");
  }

  @Test
  void clientId_ofAnotherAgent_isInvalidClient() throws Exception {
    assertThat(post(form(with(w1(identity()), "client_id", "idle"))).status()).isEqualTo(401);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "=",
        "a",
        "a=%",
        "a=%zz",
        "a=%ff",
        "a=b&a=c",
        "&",
        "a=b&",
        "grant_type=",
        "a=\u00e9",
        "a=%00"
      })
  void malformedForm_isInvalidRequest_neverAServerError(String body) throws Exception {
    Answer answer = post(body);

    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.body().path("error").asString()).isEqualTo("invalid_request");
  }

  @Test
  void parametersInTheQuery_areRefused() throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(broker.api("/oauth2/token?audience=openai"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form(w2(identity()))))
            .build();

    assertThat(client.send(request, BodyHandlers.ofString()).statusCode()).isEqualTo(400);
  }

  @Test
  void otherMethodTypeAndSize_areSaidAsHttpSays() throws Exception {
    HttpResponse<String> get =
        client.send(
            HttpRequest.newBuilder(broker.api("/oauth2/token")).build(), BodyHandlers.ofString());
    assertThat(get.statusCode()).isEqualTo(405);
    assertThat(get.headers().firstValue("Allow")).contains("POST");
    HttpResponse<String> json =
        client.send(
            HttpRequest.newBuilder(broker.api("/oauth2/token"))
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString("{}"))
                .build(),
            BodyHandlers.ofString());
    assertThat(json.statusCode()).isEqualTo(415);
    assertThat(post("a=" + "x".repeat(70_000)).status()).isEqualTo(413);
  }

  @Test
  void restrictedScope_isEchoedAndInTheToken() throws Exception {
    Answer answer = post(form(with(w2(identity()), "scope", "files")));

    assertThat(answer.body().path("scope").asString()).isEqualTo("files");
    SignedJWT token = SignedJWT.parse(answer.body().path("access_token").asString());
    assertThat(token.getJWTClaimsSet().getStringClaim("scope")).isEqualTo("files");
  }

  @Test
  void revoke_ofAnOwnToken_answers200AndEndsIt() throws Exception {
    String token = post(form(w2(identity()))).body().path("access_token").asString();
    long before = broker.bean(StopView.class).epoch();

    for (String value : List.of(token, "garbage")) {
      HttpResponse<String> answer =
          client.send(
              HttpRequest.newBuilder(broker.api("/oauth2/revoke"))
                  .header("Content-Type", "application/x-www-form-urlencoded")
                  .POST(BodyPublishers.ofString("token=" + value))
                  .build(),
              BodyHandlers.ofString());
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    }
    StopView view = broker.bean(StopView.class);
    for (int i = 0; i < 200 && view.epoch() == before; i++) {
      Thread.sleep(10);
    }
    String jti = SignedJWT.parse(token).getJWTClaimsSet().getJWTID();
    assertThat(view.stopped("bot", "ci", jti, Long.MAX_VALUE)).isNotNull();
  }

  @Test
  void revokingAgainAndAgain_ordersOneStop() throws Exception {
    String token = post(form(w2(identity()))).body().path("access_token").asString();
    StopView view = broker.bean(StopView.class);
    for (int i = 0; i < 3; i++) {
      client.send(
          HttpRequest.newBuilder(broker.api("/oauth2/revoke"))
              .header("Content-Type", "application/x-www-form-urlencoded")
              .POST(BodyPublishers.ofString("token=" + token))
              .build(),
          BodyHandlers.ofString());
      Thread.sleep(700);
    }
    String jti = SignedJWT.parse(token).getJWTClaimsSet().getJWTID();
    assertThat(view.stopped("bot", "ci", jti, Long.MAX_VALUE)).isNotNull();
    try (var connection = broker.database();
        var statement = connection.prepareStatement("SELECT count(*) FROM stop WHERE target = ?")) {
      statement.setString(1, jti);
      try (var rows = statement.executeQuery()) {
        rows.next();
        assertThat(rows.getInt(1)).isEqualTo(1);
      }
    }
  }

  @Test
  void stoppedDestination_tellsAStrangerNothing() throws Exception {
    var record =
        broker
            .bean(io.valetkey.broker.audit.AuditLog.class)
            .open("stop.create")
            .completed(io.valetkey.broker.audit.AuditRecord.Outcome.GRANTED, null);
    var store = broker.bean(io.valetkey.broker.stop.StopStore.class);
    var stop =
        store.order(
            new io.valetkey.broker.stop.StopTarget(
                io.valetkey.broker.stop.StopTarget.Kind.DESTINATION, "other"),
            "a test",
            null,
            "test",
            record);
    StopView view = broker.bean(StopView.class);
    for (int i = 0; i < 200 && view.epoch() < stop.epoch(); i++) {
      Thread.sleep(10);
    }
    assertThat(view.stoppedDestination("other", Long.MAX_VALUE)).isNotNull();

    assertThat(withoutId(post(form(with(w2(identity()), "audience", "other")))))
        .isEqualTo(withoutId(post(form(with(w2(identity()), "audience", "nowhere")))));
  }

  private static Map<String, String> recordOf(String value, String column) throws Exception {
    try (var connection = broker.database();
        var statement =
            connection.prepareStatement(
                "SELECT outcome, reason, agent, destination FROM audit_record WHERE "
                    + column
                    + " = ?")) {
      statement.setString(1, value);
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).as("a record of " + value).isTrue();
        Map<String, String> record = new LinkedHashMap<>();
        for (String name : List.of("outcome", "reason", "agent", "destination")) {
          record.put(name, rows.getString(name));
        }
        assertThat(rows.next()).as("only one record").isFalse();
        return record;
      }
    }
  }
}
