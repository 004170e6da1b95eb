package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.proofs.Tokens.Answer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Introspection: a registered resource server learns about tokens for its own destinations, and
 * nobody learns anything else.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc7662">RFC 7662</a>
 */
class IntrospectionTest {

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private RunningBroker broker;

  @BeforeEach
  void start() throws Exception {
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.introspection.resource-servers", "mcp-server=mcp,disabled-server=mcp"));
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot-subject", "")
        .agent("mcp-server", "ci", "mcp-subject", "")
        .agent("disabled-server", "ci", "disabled-subject", ",\"enabled\":false")
        .destination("mcp", Tokens.DESTINATION.formatted("mcp"))
        .destination("openai", Tokens.DESTINATION.formatted("openai"))
        .scope("mcp", "use", "{\"allow\":[]}")
        .scope("openai", "chat", "{\"allow\":[]}")
        .grant("bot-mcp", "bot", "mcp", List.of("use"))
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .await(broker);
  }

  @AfterEach
  void stop() {
    broker.close();
  }

  private String token(String destination, String... headers) throws Exception {
    var form = Tokens.exchange(ISSUER.token("bot-subject", broker.url()));
    form.put("audience", destination);
    return Tokens.ask(broker.url(), form, headers).token();
  }

  private Answer introspect(String subject, String token) throws Exception {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("token", token);
    if (subject != null) {
      form.put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
      form.put("client_assertion", ISSUER.token(subject, broker.url()));
    }
    return Tokens.post(broker.api("/oauth2/introspect"), form);
  }

  private static void requireInactive(Answer answer) {
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.http().body()).isEqualTo("{\"active\":false}");
  }

  @Test
  void ownToken_isDescribed() throws Exception {
    String token = token("mcp");

    Answer answer = introspect("mcp-subject", token);

    assertThat(answer.status()).as(answer.http().body()).isEqualTo(200);
    assertThat(answer.body().path("active").asBoolean()).isTrue();
    assertThat(answer.body().path("client_id").asString()).isEqualTo("bot");
    assertThat(answer.body().path("aud").asString()).isEqualTo(broker.gatewayUrl() + "/d/mcp");
    assertThat(answer.body().path("scope").asString()).isEqualTo("use");
    assertThat(answer.body().path("token_type").asString()).isEqualTo("Bearer");
    assertThat(answer.body().path("exp").asLong() - answer.body().path("iat").asLong())
        .isEqualTo(300);
    assertThat(answer.http().headers().firstValue("Cache-Control")).contains("no-store");
  }

  @Test
  void boundToken_saysWhatItIsBoundTo() throws Exception {
    Proof proof = Proof.on(broker.url() + "/oauth2/token");

    Answer answer = introspect("mcp-subject", token("mcp", "DPoP", proof.sign()));

    assertThat(answer.body().path("token_type").asString()).isEqualTo("DPoP");
    assertThat(answer.body().at("/cnf/jkt").asString())
        .isEqualTo(proof.key.computeThumbprint().toString());
  }

  @Test
  void tokenForAnotherDestination_orNone_isInactiveAndNothingMore() throws Exception {
    requireInactive(introspect("mcp-subject", token("openai")));
    requireInactive(introspect("mcp-subject", "garbage"));
    requireInactive(introspect("mcp-subject", ISSUER.token("bot-subject", broker.url())));
  }

  @Test
  void anybodyElse_isNotAuthenticated() throws Exception {
    String token = token("mcp");

    for (String subject : new String[] {null, "bot-subject", "nobody", "disabled-subject"}) {
      Answer answer = introspect(subject, token);
      assertThat(answer.status()).as(String.valueOf(subject)).isEqualTo(401);
      assertThat(answer.error()).isEqualTo("invalid_client");
    }
  }

  @Test
  void revokedToken_isInactive() throws Exception {
    String token = token("mcp");
    Tokens.post(broker.api("/oauth2/revoke"), Map.of("token", token));

    awaitInactive(token);
  }

  @Test
  void tokenThatTheGatewayWouldRefuse_isInactive() throws Exception {
    String token = token("mcp");
    assertThat(introspect("mcp-subject", token).body().path("active").asBoolean()).isTrue();

    new Policies(broker)
        .write("grant", "bot-mcp", "DELETE FROM agent_grant WHERE name = ?", "bot-mcp")
        .await(broker);
    requireInactive(introspect("mcp-subject", token));

    new Policies(broker).grant("bot-mcp", "bot", "mcp", List.of("use")).await(broker);
    assertThat(introspect("mcp-subject", token).body().path("active").asBoolean()).isTrue();

    new Policies(broker)
        .write(
            "agent",
            "bot",
            "UPDATE agent SET spec = spec || '{\"enabled\":false}' WHERE name = ?",
            "bot")
        .await(broker);
    requireInactive(introspect("mcp-subject", token));
  }

  private void awaitInactive(String token) throws Exception {
    for (int i = 0;
        i < 200 && introspect("mcp-subject", token).body().path("active").asBoolean();
        i++) {
      Thread.sleep(20);
    }
    requireInactive(introspect("mcp-subject", token));
  }

  @Test
  void refusedRevocation_leavesItsRecordToo() throws Exception {
    Answer answer = Tokens.post(broker.api("/oauth2/revoke"), Map.of("tokn", "x"));

    assertThat(answer.status()).isEqualTo(400);
    try (var database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT reason FROM audit_record WHERE decision_id = ?::uuid")) {
      statement.setString(1, answer.body().path("decision_id").asString());
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).isTrue();
        assertThat(rows.getString(1)).isEqualTo("invalid_request");
      }
    }
  }
}
