package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.proofs.Tokens.Answer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Identity tokens of an issuer that says {@code "replay": "once"} are worth one access token. */
class ReplayOnceTest {

  private static final TestIssuer ONCE = new TestIssuer("once");
  private static RunningBroker broker;
  private static RunningBroker replica;

  @BeforeAll
  static void start() throws Exception {
    broker = RunningBroker.start(Map.of());
    String spec = ONCE.spec();
    new Policies(broker)
        .write(
            "issuer",
            "once",
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            "once",
            spec.substring(0, spec.length() - 1) + ",\"replay\":\"once\"}",
            "https://once.test")
        .agent("bot", "once", "bot-subject", "")
        .destination("openai", Tokens.DESTINATION.formatted("openai"))
        .destination("other", Tokens.DESTINATION.formatted("other"))
        .scope("openai", "chat", "{\"allow\":[]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .await(broker);
    replica =
        broker.replica(
            Map.of(
                "valetkey.public-url", broker.url(),
                "valetkey.gateway.public-url", broker.gatewayUrl()));
  }

  @AfterAll
  static void stop() {
    replica.close();
    broker.close();
  }

  private static String identity() {
    return ONCE.token("bot-subject", broker.url());
  }

  private static void requireReplayed(Answer answer) throws Exception {
    assertThat(answer.hasToken()).isFalse();
    assertThat(answer.status()).isEqualTo(400);
    try (var database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT reason FROM audit_record WHERE decision_id = ?::uuid")) {
      statement.setString(1, answer.body().path("decision_id").asString());
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).isTrue();
        assertThat(rows.getString(1)).isEqualTo("token_replayed");
      }
    }
  }

  @Test
  void secondUse_isRefused_hereAndAtEveryReplica_byEitherGrant() throws Exception {
    String identity = identity();
    assertThat(Tokens.ask(broker.url(), Tokens.exchange(identity)).hasToken()).isTrue();

    requireReplayed(Tokens.ask(broker.url(), Tokens.exchange(identity)));
    requireReplayed(Tokens.ask(replica.url(), Tokens.exchange(identity)));
    Answer credentials = Tokens.ask(broker.url(), Tokens.clientCredentials(identity));
    assertThat(credentials.status()).isEqualTo(401);
  }

  @Test
  void refusedRequest_doesNotUseTheTokenUp() throws Exception {
    String identity = identity();
    for (Map<String, String> change :
        List.of(
            Map.of("audience", "other"),
            Map.of("audience", "nowhere"),
            Map.of("scope", "admin"),
            Map.of("actor_token", "x"))) {
      var form = Tokens.exchange(identity);
      form.putAll(change);
      assertThat(Tokens.ask(broker.url(), form).hasToken()).isFalse();
    }
    assertThat(Tokens.ask(broker.url(), Tokens.exchange(identity), "DPoP", "no proof").hasToken())
        .isFalse();

    assertThat(Tokens.ask(replica.url(), Tokens.exchange(identity)).hasToken()).isTrue();
  }

  @Test
  void tokenWithoutAnId_isNeverAccepted() throws Exception {
    String identity = ONCE.token("bot-subject", broker.url(), claims -> claims.jwtID(null));

    assertThat(Tokens.ask(broker.url(), Tokens.exchange(identity)).hasToken()).isFalse();
  }

  @Test
  void usesAtTheSameTime_areWorthOneToken() throws Exception {
    for (int round = 0; round < 10; round++) {
      var form = Tokens.exchange(identity());
      try (var clients = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Callable<Answer>> requests =
            Stream.of(broker, replica, broker, replica)
                .map(at -> (Callable<Answer>) () -> Tokens.ask(at.url(), form))
                .toList();
        long granted = 0;
        for (var answer : clients.invokeAll(requests)) {
          granted += answer.get().hasToken() ? 1 : 0;
        }
        assertThat(granted).isEqualTo(1);
      }
    }
  }
}
