package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jwt.JWTClaimsSet;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestCluster;
import io.valetkey.broker.admin.AdminClient.Answer;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.VerifiedWorkload;
import io.valetkey.broker.signal.PodsSeen;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * Signals over the wire: who may send them, whom they are about, what they lead to. Invariants: F1,
 * F2, F3, F4, P5.
 */
class SignalApiTest {

  private static final TestCluster CLUSTER_A = new TestCluster("cluster-a");
  private static final TestCluster CLUSTER_B = new TestCluster("cluster-b");
  private static final TestCluster PROVIDER = new TestCluster("idp");
  private static final AtomicInteger NUMBER = new AtomicInteger();
  private static final String REVOKED =
      "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

  private static RunningBroker broker;
  private static AdminClient admin;

  @BeforeAll
  static void start() throws Exception {
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.signals.senders",
                "cluster-a=system:serviceaccount:falco:falcosidekick,"
                    + "cluster-b=system:serviceaccount:falco:falcosidekick,"
                    + "cluster-a=system:serviceaccount:falco:floods,"
                    + "cluster-a=system:serviceaccount:team-a:both",
                "valetkey.signals.transmitters",
                "idp=idp"));
    admin = AdminClient.bootstrap(broker);
    put("issuers/cluster-a", CLUSTER_A.spec("kubernetes"));
    put("issuers/cluster-b", CLUSTER_B.spec("kubernetes"));
    put("issuers/idp", PROVIDER.spec("oidc"));
    put("destinations/openai", DESTINATION);
    put("destinations/openai/scopes/chat", "{\"allow\":[]}");
    put("agents/both", agent("cluster-a", TestCluster.subject("team-a", "both")));
    put(
        "signal-rules/shell",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"Terminal shell in container\"},\"action\":\"stop\"}");
    put(
        "signal-rules/revoked",
        "{\"source\":\"ssf\",\"match\":{\"event\":\"session-revoked\"},\"action\":\"stop\",\"stopFor\":\"1h\"}");
    put(
        "signal-rules/secrets",
        "{\"source\":\"tetragon\",\"match\":{\"policy\":\"read-secrets\"},\"action\":\"stop\"}");
    put(
        "signal-rules/known-noise",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"Noise\"},\"action\":\"mark\"}");
  }

  private static final String DESTINATION =
      "{\"kind\":\"http\",\"origin\":\"https://api.openai.test\",\"credential\":"
          + "{\"source\":\"file\",\"name\":\"key\"}}";

  @AfterAll
  static void end() {
    broker.close();
  }

  private static void put(String path, String body) throws Exception {
    Answer answer = admin.put("/" + path, body);
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(201);
    new Policies(broker).await(broker);
  }

  private static String agent(String issuer, String subject) {
    return "{\"identities\":[{\"issuer\":\"%s\",\"subject\":\"%s\"}]}".formatted(issuer, subject);
  }

  /** An agent of its own, in a pod that has got a token. */
  private record Bot(String name, TestCluster cluster, String pod, String uid) {

    String identity() {
      return cluster.token("team-a", name, broker.url(), pod, uid);
    }
  }

  private static Bot bot(TestCluster cluster) throws Exception {
    String name = "bot-" + NUMBER.incrementAndGet();
    put("agents/" + name, agent(cluster.name(), TestCluster.subject("team-a", name)));
    put(
        "grants/" + name,
        "{\"agent\":\"%s\",\"destination\":\"openai\",\"scopes\":[\"chat\"]}".formatted(name));
    Bot bot = new Bot(name, cluster, name + "-pod", UUID.randomUUID().toString());
    assertThat(askForToken(bot)).isEqualTo(200);
    awaitSeen(bot);
    return bot;
  }

  private static int askForToken(Bot bot) {
    String form =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=openai"
            + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token="
            + URLEncoder.encode(bot.identity(), StandardCharsets.UTF_8);
    return AdminClient.exchange(
            HttpRequest.newBuilder(URI.create(broker.url() + "/oauth2/token"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(form))
                .build())
        .status();
  }

  private static void awaitSeen(Bot bot) throws Exception {
    for (int i = 0; i < 200; i++) {
      if (count("SELECT count(*) FROM pod_seen WHERE pod_uid = '" + bot.uid() + "'") == 1) {
        return;
      }
      Thread.sleep(10);
    }
    throw new AssertionError("the pod was not written down");
  }

  private static long count(String sql) throws Exception {
    try (var database = broker.database();
        var rows = database.createStatement().executeQuery(sql)) {
      rows.next();
      return rows.getLong(1);
    }
  }

  private static String falco(String rule, String pod, @Nullable String uid) {
    return """
    {"output":"never kept","priority":"Critical","rule":"%s","time":"2026-11-24T12:00:00.1Z","source":"syscall",
     "output_fields":{"k8s.ns.name":"team-a","k8s.pod.name":"%s","k8s.pod.uid":%s,"proc.cmdline":"never kept"}}
    """
        .formatted(rule, pod, uid == null ? "null" : "\"" + uid + "\"");
  }

  private static String shell(Bot bot) {
    return falco("Terminal shell in container", bot.pod(), bot.uid());
  }

  private static AdminClient sensor(TestCluster cluster) {
    return sensor(cluster, "falcosidekick");
  }

  private static AdminClient sensor(TestCluster cluster, String account) {
    return new AdminClient(
        broker.url() + "/admin/v1", cluster.token("falco", account, broker.url(), null, ""));
  }

  private static JsonNode accepted(Answer answer) {
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(202);
    return answer.json();
  }

  private static List<JsonNode> activity(String query) {
    List<JsonNode> items = new ArrayList<>();
    admin.get("/activity?" + query).json().path("items").forEach(items::add);
    return items;
  }

  // ------------------------------------------------------------ what they lead to

  @Test
  void signal_whenARuleStops_stopsTheAgentOfThePod() throws Exception {
    Bot bot = bot(CLUSTER_A);

    JsonNode answer = accepted(sensor(CLUSTER_A).send("POST", "/signals", shell(bot)));

    assertThat(answer.path("agent").asString()).isEqualTo(bot.name());
    assertThat(answer.path("action").asString()).isEqualTo("stopped");
    awaitRefused(bot);
    JsonNode stop = admin.get("/stops/" + answer.path("stop").asString()).json();
    assertThat(stop.path("target").path("agent").asString()).isEqualTo(bot.name());
    assertThat(stop.path("createdBy").asString())
        .isEqualTo("system:serviceaccount:falco:falcosidekick of cluster-a");
    assertThat(stop.path("reason").asString())
        .contains("the rule shell", "Terminal shell in container", answer.path("id").asString());
    JsonNode record = admin.get("/decisions/" + answer.path("id").asString()).json();
    assertThat(record.path("action").asString()).isEqualTo("signal.received");
    assertThat(record.path("agent").asString()).isEqualTo(bot.name());
    assertThat(record.path("details").path("action").asString()).isEqualTo("stopped");
  }

  private static void awaitRefused(Bot bot) throws Exception {
    for (int i = 0; i < 200 && askForToken(bot) == 200; i++) {
      Thread.sleep(10);
    }
    assertThat(askForToken(bot)).isEqualTo(400);
  }

  @Test
  void signal_whenNoRuleStops_marksTheTimelineAndNothingElse() throws Exception {
    Bot bot = bot(CLUSTER_A);

    for (String rule : List.of("Some other rule", "Noise", "terminal shell in container")) {
      String event = falco(rule, bot.pod(), bot.uid());
      JsonNode answer = accepted(sensor(CLUSTER_A).send("POST", "/signals", event));
      assertThat(answer.path("action").asString()).as(rule).isEqualTo("marked");
      assertThat(answer.path("stop").isNull()).isTrue();
    }

    assertThat(askForToken(bot)).isEqualTo(200);
    List<JsonNode> timeline = activity("agent=" + bot.name());
    assertThat(timeline).hasSize(3);
    assertThat(timeline.get(0).at("/facts/rule").asString())
        .as("newest first")
        .isEqualTo("terminal shell in container");
    assertThat(timeline.get(1).path("signalRule").asString()).isEqualTo("known-noise");
    assertThat(timeline.get(2).path("occurredAt").asString()).isEqualTo("2026-11-24T12:00:00.100Z");
    assertThat(timeline.toString()).doesNotContain("never kept");
    assertThat(count("SELECT count(*) FROM audit_record WHERE details::text LIKE '%never kept%'"))
        .isZero();
  }

  @Test
  void signal_whenItComesAgainAndAgain_makesOneStop() throws Exception {
    Bot bot = bot(CLUSTER_A);
    Set<String> stops = new HashSet<>();

    for (int i = 0; i < 20; i++) {
      stops.add(
          accepted(sensor(CLUSTER_A).send("POST", "/signals", shell(bot))).path("stop").asString());
    }

    assertThat(stops).hasSize(1);
    assertThat(count("SELECT count(*) FROM stop WHERE target = '" + bot.name() + "'")).isEqualTo(1);
    assertThat(activity("agent=" + bot.name())).hasSize(20);
  }

  @Test
  void signal_whenThereAreTooMany_isRefused_andOtherAgentsAreStillHeard() throws Exception {
    Bot noisy = bot(CLUSTER_A);
    Bot other = bot(CLUSTER_A);
    AdminClient sensor = sensor(CLUSTER_A, "floods");
    String noise = falco("Noise", noisy.pod(), noisy.uid());
    int refused = 0;
    Answer last = null;
    for (int i = 0; i < 140; i++) {
      Answer answer = sensor.send("POST", "/signals", noise);
      if (answer.status() == 429) {
        refused++;
        last = answer;
      }
    }

    assertThat(refused).isBetween(10, 25);
    assertThat(last.header("Retry-After")).isNotEmpty();
    assertThat(last.code()).isEqualTo("rate_limited");
    assertThat(
            count(
                "SELECT count(*) FROM audit_record WHERE reason = 'rate_limited' OR (action ="
                    + " 'admin.request' AND details->>'status' = '429')"))
        .as("a flood does not write itself into the trail")
        .isZero();
    assertThat(accepted(sensor.send("POST", "/signals", shell(other))).path("action").asString())
        .isEqualTo("stopped");
    assertThat(accepted(sensor.send("POST", "/signals", shell(noisy))).path("action").asString())
        .as("noise does not hide what stops")
        .isEqualTo("stopped");
  }

  @Test
  void tetragon_stopsByItsPolicy() throws Exception {
    Bot bot = bot(CLUSTER_A);
    String event =
        """
        {"process_kprobe":{"process":{"pod":{"namespace":"team-a","name":"%s"}},"policy_name":"read-secrets"},
         "time":"2026-11-24T12:00:00Z"}
        """
            .formatted(bot.pod());

    JsonNode answer = accepted(sensor(CLUSTER_A).send("POST", "/signals", event));

    assertThat(answer.path("action").asString()).isEqualTo("stopped");
    awaitRefused(bot);
  }

  @Test
  void auditLogEvent_isMappedByTheServiceAccount() throws Exception {
    Bot bot = bot(CLUSTER_A);
    String event =
        """
        {"priority":"Notice","rule":"Terminal shell in container","source":"k8s_audit",
         "output_fields":{"ka.user.name":"%s"}}
        """
            .formatted(TestCluster.subject("team-a", bot.name()));

    JsonNode answer = accepted(sensor(CLUSTER_A).send("POST", "/signals", event));

    assertThat(answer.path("agent").asString()).isEqualTo(bot.name());
  }

  // ------------------------------------------------------------ whom they are about

  @Test
  void signal_whenNobodyIsMeant_leavesARecordAndNothingElse() throws Exception {
    Bot bot = bot(CLUSTER_A);
    long stops = count("SELECT count(*) FROM stop");
    List<String> events =
        List.of(
            falco("Terminal shell in container", "no-such-pod", null),
            falco("Terminal shell in container", bot.pod(), UUID.randomUUID().toString()),
            falco("Terminal shell in container", "", null),
            shell(bot).replace("team-a", "team-b"));

    for (String event : events) {
      JsonNode answer = accepted(sensor(CLUSTER_A).send("POST", "/signals", event));
      assertThat(answer.path("action").asString()).isEqualTo("unmapped");
      assertThat(answer.path("agent").isNull()).isTrue();
      assertThat(admin.get("/decisions/" + answer.path("id").asString()).status()).isEqualTo(200);
    }

    assertThat(count("SELECT count(*) FROM stop")).isEqualTo(stops);
    assertThat(askForToken(bot)).isEqualTo(200);
    assertThat(activity("unmapped=true&limit=4"))
        .hasSize(4)
        .allSatisfy(item -> assertThat(item.path("agent").isNull()).isTrue());
  }

  @Test
  void signal_whenItIsOfAnotherCluster_stopsNobodyHere() throws Exception {
    Bot bot = bot(CLUSTER_A);

    JsonNode answer = accepted(sensor(CLUSTER_B).send("POST", "/signals", shell(bot)));
    Answer claimed = sensor(CLUSTER_B).send("POST", "/signals?issuer=cluster-a", shell(bot));

    assertThat(answer.path("action").asString()).isEqualTo("unmapped");
    assertThat(claimed.status()).isEqualTo(403);
    assertThat(askForToken(bot)).isEqualTo(200);
  }

  @Test
  void pod_whenItsNameStoodForTwoAgents_isNobody_unlessTheUidSaysWhich() throws Exception {
    Bot first = bot(CLUSTER_A);
    Bot second = bot(CLUSTER_A);
    Bot successor = new Bot(second.name(), CLUSTER_A, first.pod(), UUID.randomUUID().toString());
    assertThat(askForToken(successor)).isEqualTo(200);
    awaitSeen(successor);

    String byName = falco("Noise", first.pod(), null);
    String byUid = falco("Noise", first.pod(), successor.uid());

    assertThat(
            accepted(sensor(CLUSTER_A).send("POST", "/signals", byName)).path("action").asString())
        .isEqualTo("unmapped");
    assertThat(accepted(sensor(CLUSTER_A).send("POST", "/signals", byUid)).path("agent").asString())
        .isEqualTo(second.name());

    Bot third = new Bot(first.name(), CLUSTER_A, first.pod(), UUID.randomUUID().toString());
    assertThat(askForToken(third)).isEqualTo(200);
    awaitSeen(third);
    Thread.sleep(300);
    assertThat(
            count(
                "SELECT count(*) FROM signal WHERE agent IS NULL AND facts->>'pod' = '"
                    + first.pod()
                    + "'"))
        .as("what still says too little is not judged again")
        .isEqualTo(1);
  }

  @Test
  void identity_whenItWasGivenToAnotherAgent_leadsToThatOne() throws Exception {
    Bot bot = bot(CLUSTER_A);
    String heir = "heir-of-" + bot.name();
    assertThat(admin.delete("/grants/" + bot.name(), "If-Match", "*").status()).isEqualTo(204);
    assertThat(admin.delete("/agents/" + bot.name(), "If-Match", "*").status()).isEqualTo(204);
    put("agents/" + heir, agent("cluster-a", TestCluster.subject("team-a", bot.name())));

    JsonNode answer =
        accepted(sensor(CLUSTER_A).send("POST", "/signals", falco("Noise", bot.pod(), bot.uid())));

    assertThat(answer.path("agent").asString()).isEqualTo(heir);
  }

  /**
   * A pod is known from its first token on; what was seen before must not be forgotten for that.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void signal_whenItCameBeforeThePodsFirstToken_stopsTheAgentThen(boolean withUid)
      throws Exception {
    Bot bot = bot(CLUSTER_A);
    Bot early = new Bot(bot.name(), CLUSTER_A, bot.name() + "-early", UUID.randomUUID().toString());
    String event = falco("Terminal shell in container", early.pod(), withUid ? early.uid() : null);
    assertThat(
            accepted(sensor(CLUSTER_A).send("POST", "/signals", event)).path("action").asString())
        .isEqualTo("unmapped");
    String elsewhere = event.replace(early.pod(), early.pod() + "x");
    accepted(sensor(CLUSTER_A).send("POST", "/signals", elsewhere));

    int first = askForToken(early);

    assertThat(first).isEqualTo(200);
    for (int i = 0; i < 200 && activity("agent=" + bot.name()).isEmpty(); i++) {
      Thread.sleep(10);
    }
    awaitRefused(early);
    // Another replica that comes to know the pod finds nothing left to do.
    try (RunningBroker replica = broker.replica(Map.of())) {
      Bot again = new Bot(bot.name(), CLUSTER_A, early.pod(), early.uid());
      replica.bean(PodsSeen.class).note(workload(replica, again), bot.name());
      Thread.sleep(500);
    }
    assertThat(activity("agent=" + bot.name()))
        .singleElement()
        .satisfies(item -> assertThat(item.path("action").asString()).isEqualTo("stopped"));
  }

  private static VerifiedWorkload workload(RunningBroker replica, Bot bot) {
    return replica
        .bean(IdentityVerifier.class)
        .verify(CLUSTER_A.token("team-a", bot.name(), replica.url(), bot.pod(), bot.uid()));
  }

  // ------------------------------------------------------------ who may send

  @Test
  void agentsTokens_areWorthNothingHere() throws Exception {
    Bot bot = bot(CLUSTER_A);
    String both = CLUSTER_A.token("team-a", "both", broker.url(), "both-1", "uid-of-both");
    String stranger = CLUSTER_A.token("falco", "somebody", broker.url(), null, "");
    String elsewhere = CLUSTER_A.token("falco", "falcosidekick", "https://else.test", null, "");
    String forged =
        new TestCluster("cluster-a").token("falco", "falcosidekick", broker.url(), null, "");

    for (String token : List.of(bot.identity(), both, stranger, elsewhere, forged, "nonsense")) {
      Answer answer =
          new AdminClient(broker.url() + "/admin/v1", token).send("POST", "/signals", shell(bot));
      assertThat(answer.status()).isEqualTo(401);
    }

    assertThat(askForToken(bot)).isEqualTo(200);
    assertThat(activity("agent=" + bot.name())).isEmpty();
  }

  @Test
  void sensorsToken_doesNothingButSendSignals() {
    AdminClient sensor = sensor(CLUSTER_A);

    for (String path : List.of("/agents", "/activity", "/stops", "/audit", "/signal-rules")) {
      assertThat(sensor.get(path).status()).as(path).isEqualTo(401);
    }
    assertThat(
            sensor
                .send("POST", "/stops", "{\"target\":{\"everything\":true},\"reason\":\"x\"}")
                .status())
        .isEqualTo(401);
  }

  /** The content type says which proof a request brings, and never that it needs none. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "application/json",
        "application/secevent+jwt",
        "application/secevent+jwt; charset=utf-8",
        "application/secevent+jwt, application/json",
        "APPLICATION/SECEVENT+JWT",
        "application/secevent+jwt;application/json",
        "text/plain"
      })
  void request_withoutAProof_isRefusedWhateverItsContentType(String type) throws Exception {
    Bot bot = bot(CLUSTER_A);

    Answer answer =
        new AdminClient(broker.url() + "/admin/v1", null)
            .send("POST", "/signals", shell(bot), "Content-Type", type);

    assertThat(answer.status()).isIn(400, 401, 415);
    assertThat(answer.response().body()).doesNotContain("never kept");
    assertThat(activity("agent=" + bot.name())).isEmpty();
  }

  @Test
  void admin_saysWhichClusterItSpeaksFor() throws Exception {
    Bot bot = bot(CLUSTER_A);

    assertThat(admin.send("POST", "/signals", shell(bot)).status()).isEqualTo(400);
    assertThat(admin.send("POST", "/signals?issuer=idp", shell(bot)).status()).isEqualTo(400);
    assertThat(admin.send("POST", "/signals?issuer=nowhere", shell(bot)).status()).isEqualTo(400);
    assertThat(
            accepted(admin.send("POST", "/signals?issuer=cluster-a", shell(bot)))
                .path("action")
                .asString())
        .isEqualTo("stopped");
  }

  // ------------------------------------------------------------ security event tokens

  private static JWTClaimsSet.Builder event(String type, String subject) {
    return new JWTClaimsSet.Builder()
        .issuer(PROVIDER.issuer())
        .audience(broker.url())
        .issueTime(new Date())
        .jwtID(UUID.randomUUID().toString())
        .claim("sub_id", Map.of("format", "iss_sub", "iss", PROVIDER.issuer(), "sub", subject))
        .claim("events", Map.of(type, Map.of("event_timestamp", Instant.now().getEpochSecond())));
  }

  private static Answer push(String token) {
    return new AdminClient(broker.url() + "/admin/v1", null)
        .send("POST", "/signals", token, "Content-Type", "application/secevent+jwt");
  }

  private static Answer push(JWTClaimsSet.Builder claims) {
    return push(PROVIDER.sign("secevent+jwt", claims.build()));
  }

  private static String person(String prefix) throws Exception {
    String name = prefix + "-" + NUMBER.incrementAndGet();
    put("agents/" + name, agent("idp", name + "-subject"));
    return name;
  }

  @Test
  void sessionRevoked_stopsTheAgentOfTheSubject_once() throws Exception {
    String name = person("revoked");
    String token = PROVIDER.sign("secevent+jwt", event(REVOKED, name + "-subject").build());

    Answer first = push(token);

    assertThat(first.status()).as(first.response().body()).isEqualTo(202);
    assertThat(first.response().body()).isEmpty();
    JsonNode mark = activity("agent=" + name).getFirst();
    assertThat(mark.path("action").asString()).isEqualTo("stopped");
    assertThat(mark.path("sender").asString()).isEqualTo("transmitter idp");
    JsonNode stop = admin.get("/stops/" + mark.path("stop").asString()).json();
    assertThat(stop.path("expiresAt").isNull()).isFalse();

    admin.send(
        "DELETE", "/stops/" + stop.path("id").asString(), "{\"reason\":\"it was a mistake\"}");
    Answer replayed = push(token);

    assertThat(replayed.status()).as("acknowledged, and it does nothing").isEqualTo(202);
    assertThat(activity("agent=" + name)).hasSize(1);
    assertThat(
            count("SELECT count(*) FROM stop WHERE ended_at IS NULL AND target = '" + name + "'"))
        .isZero();
    assertThat(
            count(
                "SELECT count(*) FROM audit_record WHERE action = 'signal.received' AND reason ="
                    + " 'token_replayed'"))
        .isPositive();
  }

  @Test
  void otherEvents_markOnly_andVerificationIsAcknowledged() throws Exception {
    String name = person("changed");
    String base = "https://schemas.openid.net/secevent/";

    assertThat(push(event(base + "caep/event-type/credential-change", name + "-subject")).status())
        .isEqualTo(202);
    assertThat(push(event("https://else.test/event", name + "-subject")).status()).isEqualTo(202);
    assertThat(push(event(base + "ssf/event-type/verification", "stream")).status()).isEqualTo(202);

    List<JsonNode> timeline = activity("agent=" + name);
    assertThat(timeline).extracting(item -> item.path("action").asString()).containsOnly("marked");
    assertThat(timeline)
        .extracting(item -> item.at("/facts/event").asString())
        .containsExactly("other", "credential-change");
  }

  @Test
  void subject_whenItIsNotOneOfTheTransmittersIssuers_isNobody() throws Exception {
    Bot bot = bot(CLUSTER_A);
    long stops = count("SELECT count(*) FROM stop");
    Map<String, Object> foreign =
        Map.of(
            "format", "iss_sub",
            "iss", CLUSTER_A.issuer(),
            "sub", TestCluster.subject("team-a", bot.name()));

    assertThat(push(event(REVOKED, "x").claim("sub_id", foreign)).status()).isEqualTo(202);
    assertThat(
            push(event(REVOKED, "x")
                    .claim("sub_id", Map.of("format", "email", "email", "a@b.test")))
                .status())
        .isEqualTo(202);
    assertThat(
            push(event(REVOKED, "x").claim("sub_id", Map.of("format", "opaque", "id", "1")))
                .status())
        .isEqualTo(202);

    assertThat(count("SELECT count(*) FROM stop")).isEqualTo(stops);
    assertThat(count("SELECT count(*) FROM audit_record WHERE details::text LIKE '%a@b.test%'"))
        .isZero();
    assertThat(askForToken(bot)).isEqualTo(200);
  }

  private record BadToken(String what, String err, String reason, String token) {}

  @Test
  void token_whenAnythingIsWrongWithIt_doesNothingButLeaveARecord() throws Exception {
    String name = person("spared");
    String subject = name + "-subject";
    Date now = new Date();
    JWTClaimsSet good = event(REVOKED, subject).build();
    List<BadToken> bad = new ArrayList<>();
    bad.add(
        new BadToken(
            "forged",
            "authentication_failed",
            "key_unknown signature_invalid",
            new TestCluster("idp").sign("secevent+jwt", good)));
    bad.add(
        new BadToken("no typ", "invalid_key", "algorithm_not_allowed", PROVIDER.sign(null, good)));
    bad.add(
        new BadToken("jwt", "invalid_key", "algorithm_not_allowed", PROVIDER.sign("JWT", good)));
    bad.add(
        new BadToken(
            "no transmitter",
            "invalid_issuer",
            "issuer_unknown",
            CLUSTER_A.sign(
                "secevent+jwt", event(REVOKED, subject).issuer(CLUSTER_A.issuer()).build())));
    bad.add(
        of(
            "exp",
            "invalid_request",
            "claims_invalid",
            event(REVOKED, subject),
            c -> c.expirationTime(Date.from(Instant.now().plusSeconds(60)))));
    bad.add(
        of(
            "audience",
            "invalid_audience",
            "audience_mismatch",
            event(REVOKED, subject),
            c -> c.audience("https://else.test")));
    bad.add(
        of(
            "old",
            "invalid_request",
            "token_expired",
            event(REVOKED, subject),
            c -> c.issueTime(Date.from(Instant.now().minusSeconds(90_000)))));
    bad.add(
        of(
            "future",
            "invalid_request",
            "token_expired",
            event(REVOKED, subject),
            c -> c.issueTime(new Date(now.getTime() + 60_000))));
    bad.add(
        of(
            "no jti",
            "invalid_request",
            "claims_invalid",
            event(REVOKED, subject),
            c -> c.jwtID(null)));
    bad.add(
        of(
            "no events",
            "invalid_request",
            "claims_invalid",
            event(REVOKED, subject),
            c -> c.claim("events", Map.of())));
    bad.add(
        of(
            "two events",
            "invalid_request",
            "claims_invalid",
            event(REVOKED, subject),
            c -> c.claim("events", Map.of(REVOKED, Map.of(), "https://else.test/e", Map.of()))));
    bad.add(
        of(
            "no subject",
            "invalid_request",
            "claims_invalid",
            event(REVOKED, subject),
            c -> c.claim("sub_id", null)));
    bad.add(new BadToken("nonsense", "invalid_request", "token_malformed", "nonsense"));
    bad.add(
        new BadToken(
            "newline",
            "invalid_request",
            "token_malformed",
            PROVIDER.sign("secevent+jwt", good) + "\n"));

    for (BadToken each : bad) {
      long before = count(refusals(each));
      Answer answer = push(each.token());
      assertThat(answer.status()).as(each.what()).isEqualTo(400);
      if (!each.what().equals("forged")) {
        assertThat(answer.json().path("err").asString()).as(each.what()).isEqualTo(each.err());
      }
      assertThat(answer.json().path("description").asString()).isNotEmpty();
      assertThat(answer.response().body()).doesNotContain(each.token());
      assertThat(count(refusals(each))).as(each.what()).isEqualTo(before + 1);
    }
    assertThat(activity("agent=" + name)).isEmpty();
  }

  private static String refusals(BadToken bad) {
    return "SELECT count(*) FROM audit_record WHERE action = 'signal.received' AND outcome ="
        + " 'refused' AND reason IN ('"
        + bad.reason().replace(" ", "','")
        + "')";
  }

  private static BadToken of(
      String what,
      String err,
      String reason,
      JWTClaimsSet.Builder claims,
      Consumer<JWTClaimsSet.Builder> change) {
    change.accept(claims);
    return new BadToken(what, err, reason, PROVIDER.sign("secevent+jwt", claims.build()));
  }

  // ------------------------------------------------------------ rules and timeline

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"source\":\"falco\",\"match\":{},\"action\":\"stop\"} | /match",
        "{\"source\":\"falco\",\"match\":{\"policy\":\"x\"},\"action\":\"mark\"} | /match/policy",
        "{\"source\":\"ssf\",\"match\":{\"rule\":\"x\"},\"action\":\"stop\"} | /match/rule",
        "{\"source\":\"ssf\",\"match\":{\"minPriority\":\"error\"},\"action\":\"stop\"} | /match/minPriority",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"\"},\"action\":\"stop\"} | /match/rule",
        "{\"source\":\"falco\",\"match\":{\"minPriority\":\"Error\"},\"action\":\"stop\"} | /match/minPriority",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"x\",\"regex\":\"y\"},\"action\":\"stop\"} | /match/regex",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"x\"},\"action\":\"mark\",\"stopFor\":\"1h\"} | /stopFor",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"x\"},\"action\":\"stop\",\"stopFor\":\"1s\"} | /stopFor",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"x\"},\"action\":\"stop\",\"agents\":[]} | /agents",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"x\"},\"action\":\"stop\",\"agents\":[\"nobody\"]} | /agents/0",
        "{\"source\":\"syslog\",\"match\":{\"rule\":\"x\"},\"action\":\"stop\"} | /source",
        "{\"source\":\"falco\",\"action\":\"stop\"} | /match",
        "{\"source\":\"falco\",\"match\":{\"rule\":\"x\"}} | /action",
      })
  void rule_whenItIsWrong_isRefusedNamingThePlace(String document, String pointer) {
    Answer answer = admin.put("/signal-rules/wrong", document);

    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.json().path("errors"))
        .as(answer.response().body())
        .anySatisfy(error -> assertThat(error.path("pointer").asString()).isEqualTo(pointer));
  }

  @Test
  void rule_isAResourceLikeTheOthers_andCountsFromTheNextSignalOn() throws Exception {
    Bot named = bot(CLUSTER_A);
    Bot spared = bot(CLUSTER_A);
    String rule = "own-" + named.name();
    String document =
        "{\"source\":\"falco\",\"match\":{\"minPriority\":\"error\"},\"action\":\"stop\",\"agents\":[\"%s\"]}"
            .formatted(named.name());
    assertThat(admin.put("/signal-rules/" + rule + "?dryRun=true", document).status())
        .isEqualTo(200);
    put("signal-rules/" + rule, document);
    Answer read = admin.get("/signal-rules/" + rule);
    assertThat(read.eTag()).isNotEmpty();
    assertThat(admin.delete("/agents/" + named.name(), "If-Match", "*").code())
        .as("a rule refers to the agent")
        .isEqualTo("conflict");

    String warning = falco("Noise", named.pod(), named.uid()).replace("Critical", "Warning");
    String critical = falco("Noise", named.pod(), named.uid());
    AdminClient sensor = sensor(CLUSTER_A);
    assertThat(accepted(sensor.send("POST", "/signals", warning)).path("action").asString())
        .isEqualTo("marked");
    assertThat(
            accepted(sensor.send("POST", "/signals", falco("Noise", spared.pod(), spared.uid())))
                .path("action")
                .asString())
        .isEqualTo("marked");
    assertThat(accepted(sensor.send("POST", "/signals", critical)).path("action").asString())
        .as("the stronger of two rules")
        .isEqualTo("stopped");

    Answer disabled =
        admin.send(
            "PATCH", "/signal-rules/" + rule, "{\"enabled\":false}", "If-Match", read.eTag());
    assertThat(disabled.status()).isEqualTo(200);
    new Policies(broker).await(broker);
    assertThat(accepted(sensor.send("POST", "/signals", critical)).path("action").asString())
        .isEqualTo("marked");
    assertThat(
            count(
                "SELECT count(*) FROM audit_record WHERE action LIKE 'admin.%' AND"
                    + " details->>'kind' = 'signal-rule' AND details->>'name' = '"
                    + rule
                    + "'"))
        .isEqualTo(2);
  }

  @Test
  void timeline_isPagedWithoutGapsOrRepetitions() throws Exception {
    Bot bot = bot(CLUSTER_A);
    Set<String> sent = new HashSet<>();
    for (int i = 0; i < 7; i++) {
      String event = falco("Noise", bot.pod(), bot.uid());
      sent.add(accepted(sensor(CLUSTER_A).send("POST", "/signals", event)).path("id").asString());
    }
    List<String> read = new ArrayList<>();
    String cursor = "";
    for (int page = 0; page < 10 && cursor != null; page++) {
      JsonNode answer =
          admin
              .get(
                  "/activity?agent="
                      + bot.name()
                      + "&limit=3"
                      + (cursor.isEmpty() ? "" : "&cursor=" + cursor))
              .json();
      answer.path("items").forEach(item -> read.add(item.path("id").asString()));
      cursor = answer.path("next").isNull() ? null : answer.path("next").asString();
    }

    assertThat(read).hasSize(7).doesNotHaveDuplicates().containsExactlyInAnyOrderElementsOf(sent);
    for (String query :
        List.of("cursor=eA", "agent=Not%20A%20Name", "unmapped=yes", "limit=0", "mapped=true")) {
      assertThat(admin.get("/activity?" + query).status()).as(query).isEqualTo(400);
    }
  }

  /** No statement per token: a pod is written down once, however often it asks. */
  @Test
  void pod_whenItAsksAgain_isNotWrittenAgain() throws Exception {
    Bot bot = bot(CLUSTER_A);
    String xmin = "SELECT xmin::text::bigint FROM pod_seen WHERE pod_uid = '" + bot.uid() + "'";
    long written = count(xmin);

    for (int i = 0; i < 10; i++) {
      assertThat(askForToken(bot)).isEqualTo(200);
    }
    Thread.sleep(500);

    assertThat(count(xmin)).isEqualTo(written);
  }
}
