package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.proofs.Tokens.Answer;
import io.valetkey.realparts.NeedsKubernetes;
import io.valetkey.realparts.RealKubernetes;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** ServiceAccount tokens of a real API server, its keys and its TokenReview. Invariant: P4. */
@NeedsKubernetes
class KubernetesTest {

  private static final Duration LIFE = Duration.ofMinutes(10);

  @TempDir private static Path folder;
  private static RealKubernetes kubernetes;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    kubernetes = RealKubernetes.start();
    kubernetes.createNamespace("team-a");
    for (String name : List.of("claims-bot", "doomed", "stranger")) {
      kubernetes.createServiceAccount("team-a", name);
    }
    Path reviewer = Files.writeString(folder.resolve("token"), kubernetes.reviewerToken());
    Map<String, Object> tls =
        Map.of("caCertificate", kubernetes.caPem(), "bearerTokenFile", reviewer.toString());
    Map<String, Object> keys = new java.util.HashMap<>(tls);
    keys.put("jwksUri", kubernetes.uri() + "/openid/v1/jwks");
    Map<String, Object> review = new java.util.HashMap<>(tls);
    review.put("apiServer", kubernetes.uri().toString());
    String spec =
        JsonMapper.shared()
            .writeValueAsString(
                Map.of(
                    "type",
                    "kubernetes",
                    "issuer",
                    RealKubernetes.ISSUER,
                    "keys",
                    keys,
                    "tokenReview",
                    review));
    broker = RunningBroker.start(Map.of());
    new Policies(broker)
        .write(
            "issuer",
            "cluster",
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            "cluster",
            spec,
            RealKubernetes.ISSUER)
        .agent("bot", "cluster", "system:serviceaccount:team-a:claims-bot", "")
        .agent("doomed", "cluster", "system:serviceaccount:team-a:doomed", "")
        .destination("openai", Tokens.DESTINATION.formatted("openai"))
        .scope("openai", "chat", "{\"allow\":[]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .grant("doomed-openai", "doomed", "openai", List.of("chat"))
        .await(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
    kubernetes.close();
  }

  private static Answer ask(String identity) throws Exception {
    return Tokens.ask(broker.url(), Tokens.exchange(identity));
  }

  private static String reasonOf(Answer answer) throws Exception {
    try (var database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT reason FROM audit_record WHERE decision_id = ?::uuid")) {
      statement.setString(1, answer.body().path("decision_id").asString());
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).isTrue();
        return rows.getString(1);
      }
    }
  }

  @Test
  void serviceAccountToken_getsAnAccessToken_byEitherGrant() throws Exception {
    String identity = kubernetes.createToken("team-a", "claims-bot", broker.url(), LIFE);

    Answer exchange = ask(identity);
    Answer credentials = Tokens.ask(broker.url(), Tokens.clientCredentials(identity));

    assertThat(exchange.status()).as(exchange.http().body()).isEqualTo(200);
    assertThat(credentials.status()).as(credentials.http().body()).isEqualTo(200);
    assertThat(exchange.parsed().getJWTClaimsSet().getJSONObjectClaim("wid"))
        .containsEntry("sub", "system:serviceaccount:team-a:claims-bot");
  }

  @Test
  void podToken_saysWhichPodItWas() throws Exception {
    String uid = kubernetes.createPod("team-a", "claims-bot-1", "claims-bot");
    String identity =
        kubernetes.createPodToken("team-a", "claims-bot", broker.url(), LIFE, "claims-bot-1", uid);

    Answer answer = ask(identity);

    assertThat(answer.status()).as(answer.http().body()).isEqualTo(200);
    assertThat(answer.parsed().getJWTClaimsSet().getJSONObjectClaim("wid"))
        .containsEntry("pod_uid", uid);
  }

  @Test
  void tokenForAnotherAudience_orOfAnotherAccount_isRefused() throws Exception {
    Answer audience =
        ask(kubernetes.createToken("team-a", "claims-bot", RealKubernetes.ISSUER, LIFE));
    Answer account = ask(kubernetes.createToken("team-a", "stranger", broker.url(), LIFE));

    assertThat(audience.status()).isEqualTo(400);
    assertThat(reasonOf(audience)).isEqualTo("audience_mismatch");
    assertThat(account.status()).isEqualTo(400);
    assertThat(reasonOf(account)).isEqualTo("agent_unknown");
  }

  @Test
  void deletedServiceAccount_isRefused_althoughItsTokenHasNotEnded() throws Exception {
    String identity = kubernetes.createToken("team-a", "doomed", broker.url(), LIFE);
    assertThat(ask(identity).status()).isEqualTo(200);

    kubernetes.deleteServiceAccount("team-a", "doomed");

    // The API server remembers its answer for 10 s, and so do we.
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    Answer answer = ask(identity);
    while (answer.hasToken() && System.nanoTime() < end) {
      Thread.sleep(500);
      answer = ask(identity);
    }
    assertThat(answer.status()).as(answer.http().body()).isEqualTo(400);
    assertThat(reasonOf(answer)).isEqualTo("token_revoked");
  }

  @Test
  void apiServerThatHangs_isOurFaultInBoundedTime_andOverWhenItAnswersAgain() throws Exception {
    String identity = kubernetes.createToken("team-a", "claims-bot", broker.url(), LIFE);
    assertThat(ask(identity).status()).isEqualTo(200);
    String next = kubernetes.createToken("team-a", "claims-bot", broker.url(), LIFE);
    kubernetes.freeze();
    try {
      Answer answer = ask(next);
      assertThat(answer.status()).as(answer.http().body()).isEqualTo(503);
      assertThat(answer.took()).isLessThan(Duration.ofSeconds(5));
    } finally {
      kubernetes.thaw();
    }

    assertThat(ask(next).status()).isEqualTo(200);
  }
}
