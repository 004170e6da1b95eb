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
import java.time.Instant;
import java.util.HashMap;
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
    Files.writeString(folder.resolve("token"), kubernetes.reviewerToken());
    broker = RunningBroker.start(Map.of());
    Map<String, Object> pinned = Map.of("jwksUri", kubernetes.uri() + "/openid/v1/jwks");
    register(broker, kubernetes.issuer(), pinned);
  }

  /** Registers the cluster, with TokenReview, and two agents that may use a destination. */
  private static void register(RunningBroker at, String issuer, Map<String, Object> keys)
      throws Exception {
    Map<String, Object> review = new HashMap<>(tls());
    review.put("apiServer", kubernetes.uri().toString());
    register(at, issuer, issuerSpec(issuer, keys, Map.of("tokenReview", review)));
  }

  private static void register(RunningBroker at, String issuer, String spec) throws Exception {
    new Policies(at)
        .write(
            "issuer",
            "cluster",
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            "cluster",
            spec,
            issuer)
        .agent("bot", "cluster", "system:serviceaccount:team-a:claims-bot", "")
        .agent("doomed", "cluster", "system:serviceaccount:team-a:doomed", "")
        .destination("openai", Tokens.DESTINATION.formatted("openai"))
        .scope("openai", "chat", "{\"allow\":[]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .grant("doomed-openai", "doomed", "openai", List.of("chat"))
        .await(at);
  }

  private static Map<String, Object> tls() {
    return Map.of(
        "caCertificate", kubernetes.caPem(), "bearerTokenFile", folder.resolve("token").toString());
  }

  private static String issuerSpec(
      String issuer, Map<String, Object> keys, Map<String, Object> more) {
    Map<String, Object> spec = new HashMap<>(more);
    Map<String, Object> source = new HashMap<>(tls());
    source.putAll(keys);
    spec.putAll(Map.of("type", "kubernetes", "issuer", issuer, "keys", source));
    return JsonMapper.shared().writeValueAsString(spec);
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
    return reasonOf(broker, answer);
  }

  private static String reasonOf(RunningBroker at, Answer answer) throws Exception {
    try (var database = at.database();
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
  void keysByDiscovery_areReadWithTheBearerToken_andGiveAnAccessToken() throws Exception {
    try (RunningBroker discovering = RunningBroker.start(Map.of())) {
      register(discovering, kubernetes.issuer(), Map.of("discovery", true));
      String identity = kubernetes.createToken("team-a", "claims-bot", discovering.url(), LIFE);

      Answer answer = Tokens.ask(discovering.url(), Tokens.exchange(identity));

      assertThat(answer.status()).as(answer.http().body()).isEqualTo(200);
      assertThat(answer.parsed().getJWTClaimsSet().getJSONObjectClaim("wid"))
          .containsEntry("sub", "system:serviceaccount:team-a:claims-bot");
    }
  }

  /** Signature, claims and keys are right: only the document says that it is another issuer's. */
  @Test
  void keysByDiscovery_whenTheDocumentIsOfAnotherIssuer_areNotUsed() throws Exception {
    String alias = kubernetes.issuer().replace("127.0.0.1", "localhost");
    try (RunningBroker discovering = RunningBroker.start(Map.of())) {
      register(discovering, alias, issuerSpec(alias, Map.of("discovery", true), Map.of()));
      long now = Instant.now().getEpochSecond();
      String identity =
          kubernetes.signWithItsKey(
              Map.of(
                  "iss",
                  alias,
                  "sub",
                  "system:serviceaccount:team-a:claims-bot",
                  "aud",
                  List.of(discovering.url()),
                  "iat",
                  now,
                  "exp",
                  now + 600));

      Answer discovered = Tokens.ask(discovering.url(), Tokens.exchange(identity));
      String pinned = issuerSpec(alias, Map.of("jwksUri", alias + "/openid/v1/jwks"), Map.of());
      new Policies(discovering)
          .write(
              "issuer",
              "cluster",
              "UPDATE issuer SET spec = ?::jsonb, version = 2 WHERE name = 'cluster'",
              pinned)
          .await(discovering);
      Answer control = Tokens.ask(discovering.url(), Tokens.exchange(identity));

      assertThat(discovered.status()).as(discovered.http().body()).isEqualTo(503);
      assertThat(reasonOf(discovering, discovered)).isEqualTo("issuer_unavailable");
      assertThat(control.status()).as(control.http().body()).isEqualTo(200);
    }
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
        ask(kubernetes.createToken("team-a", "claims-bot", kubernetes.issuer(), LIFE));
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
