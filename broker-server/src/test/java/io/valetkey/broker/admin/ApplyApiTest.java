package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.admin.AdminClient.Answer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Declared sets over HTTP, on a real database. Invariants: D9, D10. */
class ApplyApiTest {

  static final String POLICY =
      """
      # Everything that the claims team needs.
      managedBy: %1$s
      ---
      kind: grant
      name: %1$s-openai
      spec: {agent: %1$s-bot, destination: %1$s-api, scopes: [chat]}
      ---
      kind: scope
      name: %1$s-api/chat
      spec:
        allow:
          - methods: [POST]
            paths: [/v1/chat/completions]
      ---
      kind: agent
      name: %1$s-bot
      spec:
        identities:
          - {issuer: %1$s-idp, subject: bot}
      ---
      kind: destination
      name: %1$s-api
      spec:
        kind: http
        origin: https://api.openai.com
        credential: {source: vault-kv, mount: secret, path: agents/openai, field: api_key}
      ---
      kind: issuer
      name: %1$s-idp
      spec: {type: oidc, issuer: "https://idp.example.com/%1$s", keys: {discovery: true}}
      """;

  private static final AtomicInteger OWNERS = new AtomicInteger();
  private static RunningBroker broker;
  private static AdminClient admin;
  private String owner;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
    admin = AdminClient.bootstrap(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  @BeforeEach
  void newOwner() {
    owner = "team" + OWNERS.incrementAndGet();
  }

  private String policy() {
    return POLICY.formatted(owner);
  }

  private static Answer apply(String yaml, String query) {
    return admin.send("POST", "/apply" + query, yaml, "Content-Type", "application/yaml");
  }

  private static Answer applied(String yaml, String query) {
    Answer answer = apply(yaml, query);
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(200);
    return answer;
  }

  private static List<String> codes(Answer answer) {
    List<String> codes = new ArrayList<>();
    for (JsonNode error : answer.json().path("errors")) {
      codes.add(error.get("pointer").stringValue() + " " + error.get("code").stringValue());
    }
    return codes;
  }

  private static int records(String sql, String value) throws SQLException {
    try (Connection connection = broker.database();
        var statement = connection.prepareStatement(sql)) {
      statement.setString(1, value);
      try (var rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt(1);
      }
    }
  }

  private static int applies(String owner) throws SQLException {
    return records(
        "SELECT count(*) FROM audit_record WHERE action = 'admin.apply'"
            + " AND details->>'managed_by' = ?",
        owner);
  }

  private static int changes(String owner) throws SQLException {
    return records(
        "SELECT count(*) FROM audit_record WHERE action IN ('admin.create', 'admin.update',"
            + " 'admin.delete') AND details->>'name' LIKE ? || '-%'",
        owner);
  }

  @Test
  void apply_inAnyOrderOfDocuments_createsAll_andTwiceChangesNothing() throws Exception {
    JsonNode plan = applied(policy(), "?dryRun=true").json();
    assertThat(plan.at("/summary/create").intValue()).isEqualTo(5);
    assertThat(plan.get("applied").booleanValue()).isFalse();
    assertThat(admin.get("/agents/" + owner + "-bot").status()).isEqualTo(404);
    assertThat(applies(owner)).isZero();

    JsonNode done = applied(policy(), "?ifRevision=" + plan.get("revision").stringValue()).json();
    assertThat(done.get("applied").booleanValue()).isTrue();
    assertThat(done.get("resources")).isEqualTo(plan.get("resources"));
    assertThat(admin.get("/grants/" + owner + "-openai").json().get("managedBy").stringValue())
        .isEqualTo(owner);
    assertThat(changes(owner)).isEqualTo(5);

    JsonNode again = applied(policy(), "").json();
    assertThat(again.at("/summary/unchanged").intValue()).isEqualTo(5);
    assertThat(changes(owner)).isEqualTo(5);
    assertThat(applies(owner)).isEqualTo(2);
  }

  @Test
  void apply_whenAResourceIsNoLongerInTheSet_deletesIt_andNothingOfOthers() {
    applied(policy(), "");
    String other = "other-" + owner;
    applied(POLICY.formatted(other), "");
    String without = policy().replaceFirst("(?s)kind: grant.*?---\n", "");
    JsonNode kept =
        applied(
                without.replace("managedBy: " + owner, "managedBy: " + owner + "\nprune: false"),
                "")
            .json();
    assertThat(kept.at("/summary/delete").intValue()).isZero();
    JsonNode plan = applied(without, "").json();
    assertThat(plan.at("/summary/delete").intValue()).isEqualTo(1);
    assertThat(admin.get("/grants/" + owner + "-openai").status()).isEqualTo(404);
    assertThat(admin.get("/grants/" + other + "-openai").status()).isEqualTo(200);
  }

  @Test
  void apply_whenTheSetIsEmpty_deletesOnlyIfThatIsSaid() {
    applied(policy(), "");
    String empty = "managedBy: " + owner + "\n";
    assertThat(apply(empty, "").code()).isEqualTo("invalid_request");
    assertThat(apply(empty, "?dryRun=true").code()).isEqualTo("invalid_request");
    assertThat(admin.get("/agents/" + owner + "-bot").status()).isEqualTo(200);
    assertThat(applied(empty, "?allowEmpty=true").json().at("/summary/delete").intValue())
        .isEqualTo(5);
    assertThat(admin.get("/agents/" + owner + "-bot").status()).isEqualTo(404);
  }

  @Test
  void apply_whenSomethingIsAnothers_isRefusedUnlessAdopted() {
    admin.put(
        "/issuers/" + owner + "-idp",
        "{\"type\":\"oidc\",\"issuer\":\"https://idp.example.com/%s\",\"keys\":{\"discovery\":true}}"
            .formatted(owner));
    Answer refused = apply(policy(), "");
    assertThat(refused.status()).isEqualTo(409);
    assertThat(codes(refused)).containsExactly("/documents/4/name not_yours");
    JsonNode adopted = applied(policy(), "?adopt=true").json();
    assertThat(adopted.at("/resources/0/adopted").booleanValue()).isTrue();
    assertThat(adopted.at("/resources/0/changes").isEmpty()).isTrue();
    String thief = policy().replace("managedBy: " + owner, "managedBy: thief");
    assertThat(codes(apply(thief, ""))).hasSize(5);
  }

  @Test
  void apply_whenMuchIsWrong_saysAllOfItAndChangesNothing() {
    String broken =
        policy()
            .replace(
                "origin: https://api.openai.com",
                "origin: http://api.openai.com\n  slot: {heder: x}")
            .replace("[POST]", "[post]");
    Answer refused = apply(broken, "");
    assertThat(refused.status()).isEqualTo(400);
    assertThat(codes(refused))
        .containsExactly(
            "/documents/1/spec/allow/0/methods/0 invalid_value",
            "/documents/3/spec/slot/heder unknown_field");
    String dangling = policy().replace("issuer: " + owner + "-idp, s", "issuer: none, s");
    dangling = dangling.replace("scopes: [chat]", "scopes: [chat, gone]");
    Answer unknown = apply(dangling, "");
    assertThat(unknown.code()).isEqualTo("unknown_reference");
    assertThat(codes(unknown))
        .containsExactlyInAnyOrder(
            "/documents/2/spec/identities/0/issuer unknown_reference",
            "/documents/0/spec/scopes/1 unknown_reference");
    assertThat(admin.get("/issuers/" + owner + "-idp").status()).isEqualTo(404);
  }

  @Test
  void apply_whenAnotherStillNeedsWhatGoes_isRefusedByName() {
    applied(policy(), "");
    admin.put(
        "/agents/guest-" + owner,
        "{\"identities\":[{\"issuer\":\"%s-idp\",\"subject\":\"guest\"}]}".formatted(owner));
    Answer refused = apply("managedBy: " + owner + "\n", "?allowEmpty=true");
    assertThat(refused.status()).isEqualTo(409);
    assertThat(refused.response().body()).contains("guest-" + owner);
    assertThat(codes(refused)).containsExactly("/documents conflict");
  }

  @Test
  void apply_swapsWhatOnlyOneMayHave() {
    applied(policy() + twin(owner + "-twin", "twin", owner + "-api2"), "");
    String swapped =
        policy()
                .replace("subject: bot", "subject: twin")
                .replace(
                    "destination: " + owner + "-api, scopes",
                    "destination: " + owner + "-api2, scopes")
            + twin(owner + "-twin", "bot", owner + "-api2")
                .replace("agent: " + owner + "-twin", "agent: " + owner + "-bot")
                .replace(
                    "destination: " + owner + "-api2, scopes",
                    "destination: " + owner + "-api, scopes");
    JsonNode plan = applied(swapped, "").json();
    assertThat(plan.at("/summary/change").intValue()).isEqualTo(4);
    assertThat(applied(swapped, "").json().at("/summary/unchanged").intValue()).isEqualTo(9);
  }

  private static String twin(String agent, String subject, String destination) {
    String prefix = agent.substring(0, agent.indexOf('-'));
    return """
    ---
    {kind: agent, name: %1$s, spec: {identities: [{issuer: %4$s-idp, subject: %2$s}]}}
    ---
    kind: destination
    name: %3$s
    spec:
      kind: http
      origin: https://api.example.com
      credential: {source: file, name: key}
    ---
    {kind: scope, name: %3$s/chat, spec: {allow: []}}
    ---
    {kind: grant, name: %1$s-second, spec: {agent: %1$s, destination: %3$s, scopes: [chat]}}
    """
        .formatted(agent, subject, destination, prefix);
  }

  @Test
  void handEdit_keepsTheOwner_andIsDriftInTheNextPlan() {
    applied(policy(), "");
    String agent = "/agents/" + owner + "-bot";
    Answer edited =
        admin.send("PATCH", agent, "{\"enabled\":false}", "If-Match", admin.get(agent).eTag());
    assertThat(edited.json().get("managedBy").stringValue()).isEqualTo(owner);
    JsonNode plan = applied(policy(), "?dryRun=true").json();
    JsonNode step = plan.at("/resources/1");
    assertThat(step.get("name").stringValue()).isEqualTo(owner + "-bot");
    assertThat(step.get("drifted").booleanValue()).isTrue();
    assertThat(step.at("/changes/0/path").stringValue()).isEqualTo("/enabled");
    applied(policy(), "");
    assertThat(admin.get(agent).json().has("enabled")).isFalse();
    assertThat(applied(policy(), "?dryRun=true").json().at("/resources/1/drifted").booleanValue())
        .isFalse();
  }

  @Test
  void apply_whenThePlanIsNoLongerTheOneAgreedTo_isRefused() {
    String revision = applied(policy(), "?dryRun=true").json().get("revision").stringValue();
    applied(policy(), "?ifRevision=" + revision);
    assertThat(apply(policy(), "?ifRevision=" + revision).status()).isEqualTo(412);
  }

  @Test
  void apply_whenANewerGenerationWasApplied_isRefused() {
    String seven =
        policy().replace("managedBy: " + owner, "managedBy: " + owner + "\ngeneration: 7");
    applied(seven, "");
    Answer refused = apply(seven.replace("generation: 7", "generation: 6"), "");
    assertThat(refused.status()).isEqualTo(412);
    applied(seven, "");
    applied(seven.replace("generation: 7", "generation: 8"), "");
    assertThat(apply(seven, "").status()).isEqualTo(412);
  }

  @Test
  void plan_asText_isADiff() {
    applied(policy(), "");
    String changed =
        policy().replace("[POST]", "[GET]").replaceFirst("(?s)kind: grant.*?---\n", "");
    Answer plan =
        admin.send(
            "POST",
            "/apply?dryRun=true",
            changed,
            "Content-Type",
            "application/yaml",
            "Accept",
            "text/plain");
    assertThat(plan.response().body())
        .contains("~ scope " + owner + "-api/chat\n")
        .contains("    - /allow/0/methods/0: \"POST\"\n    + /allow/0/methods/0: \"GET\"\n")
        .contains("- grant " + owner + "-openai\n")
        .contains("0 to create, 1 to change, 1 to delete, 3 unchanged\n")
        .contains("replayed 0 records");
  }

  @Test
  void apply_asJson_isTheSame() {
    String json =
        """
        {"managedBy": "%1$s", "documents": [
          {"kind": "issuer", "name": "%1$s-idp", "spec":
            {"type": "oidc", "issuer": "https://idp.example.com/%1$s", "keys": {"discovery": true}}}]}
        """
            .formatted(owner);
    Answer answer = admin.send("POST", "/apply", json);
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(200);
    JsonNode plan = applied(policy(), "?dryRun=true").json();
    assertThat(plan.at("/summary/unchanged").intValue()).isEqualTo(1);
    assertThat(codes(admin.send("POST", "/apply", "{\"documents\":[]}")))
        .containsExactly("/managedBy required");
  }

  @Test
  void export_canBeAppliedAsItIs() {
    applied(policy(), "");
    Answer yaml =
        admin.send("GET", "/export?managedBy=" + owner, null, "Accept", "application/yaml");
    assertThat(yaml.header("Content-Type")).startsWith("application/yaml");
    JsonNode plan = applied(yaml.response().body(), "?dryRun=true").json();
    assertThat(plan.at("/summary/unchanged").intValue()).isEqualTo(5);
    assertThat(plan.get("managedBy").stringValue()).isEqualTo(owner);
    JsonNode json = admin.get("/export?managedBy=" + owner).json();
    assertThat(json.get("documents").size()).isEqualTo(5);
    assertThat(
            admin
                .send("POST", "/apply", json.toString())
                .json()
                .at("/summary/unchanged")
                .intValue())
        .isEqualTo(5);
    assertThat(admin.get("/export?managedBy=").json().toString()).doesNotContain(owner + "-bot\"");
    assertThat(admin.get("/export").json().toString()).contains(owner + "-bot\"");
    assertThat(admin.get("/export?managedBy=NO").status()).isEqualTo(400);
  }

  @Test
  void apply_needsTheRoleAdmin_andParametersThatExist() {
    assertThat(
            new AdminClient(broker.url() + "/admin/v1", null).send("POST", "/apply", "{}").status())
        .isEqualTo(401);
    assertThat(apply(policy(), "?dryrun=true").status()).isEqualTo(400);
    assertThat(apply(policy(), "?dryRun=true&replayDays=91").status()).isEqualTo(400);
    assertThat(admin.send("POST", "/apply", policy(), "Content-Type", "text/plain").status())
        .isEqualTo(415);
    assertThat(admin.get("/agents/" + owner + "-bot").status()).isEqualTo(404);
  }

  /** Were stops to wait for the apply, one would be answered in its time, and no more. */
  @Test
  void stop_whileALargeSetIsApplied_isInForceAtOnce() throws Exception {
    StringBuilder set = new StringBuilder(policy());
    for (int i = 0; i < 1500; i++) {
      set.append(
          "---\n{kind: agent, name: %1$s-%2$d, spec: {identities: [{issuer: %1$s-idp, subject: s%2$d}]}}\n"
              .formatted(owner, i));
    }
    long started = System.nanoTime();
    var applying = CompletableFuture.supplyAsync(() -> apply(set.toString(), ""));
    int meanwhile = 0;
    Duration longest = Duration.ZERO;
    while (!applying.isDone()) {
      long begun = System.nanoTime();
      Answer stop =
          admin.send(
              "POST",
              "/stops",
              "{\"target\":{\"agent\":\"nobody-%s\"},\"reason\":\"race\"}".formatted(owner));
      Duration took = Duration.ofNanos(System.nanoTime() - begun);
      assertThat(stop.status()).isEqualTo(201);
      longest = took.compareTo(longest) > 0 ? took : longest;
      meanwhile += applying.isDone() ? 0 : 1;
    }
    assertThat(applying.get().status()).as(applying.get().response().body()).isEqualTo(200);
    Duration total = Duration.ofNanos(System.nanoTime() - started);
    System.out.printf(
        "%d stops while 1505 documents were applied in %s, longest %s%n",
        meanwhile, total, longest);
    assertThat(meanwhile).isGreaterThan(3);
  }
}
