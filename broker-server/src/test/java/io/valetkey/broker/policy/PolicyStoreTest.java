package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.valetkey.broker.policy.WriteOrder.Operation;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.jdbc.core.simple.JdbcClient;

class PolicyStoreTest {

  private static final DataSource DATABASE = PolicyDatabase.newDataSource();
  private final List<Change> recorded = new CopyOnWriteArrayList<>();
  private final PolicyStore store =
      PolicyDatabase.store(DATABASE, (connection, change) -> recorded.add(change));
  private final ChangeLog log = new ChangeLog(DATABASE, (connection, change) -> {});

  @BeforeEach
  void empty() {
    JdbcClient.create(DATABASE)
        .sql("TRUNCATE issuer, agent, destination, scope, agent_grant CASCADE")
        .update();
    put(id(ResourceKind.ISSUER, "idp"), Documents.OIDC_ISSUER.formatted("a"));
    put(id(ResourceKind.ISSUER, "spire"), Documents.SPIFFE_ISSUER);
    put(id(ResourceKind.DESTINATION, "openai"), Documents.DESTINATION);
    put(ResourceId.scope("openai", "chat"), Documents.SCOPE);
    recorded.clear();
  }

  @Test
  void put_storesWhatWasWrittenWithoutDefaults() {
    put(id(ResourceKind.AGENT, "claims-bot"), Documents.agent("idp", "bot"));
    StoredResource stored = store.get(id(ResourceKind.AGENT, "claims-bot")).orElseThrow();
    assertThat(stored.spec()).isEqualTo(Documents.json(Documents.agent("idp", "bot")));
    assertThat(stored.createdAt()).isNotNull();
  }

  @Test
  void put_onExisting_needsTheVersionThatWasRead() {
    ResourceId id = id(ResourceKind.DESTINATION, "openai");
    StoredResource first = store.get(id).orElseThrow();
    assertThat(refusal(() -> put(id, Documents.DESTINATION)))
        .isEqualTo(ProblemCode.PRECONDITION_REQUIRED);
    WriteOutcome outcome = put(id, Documents.DESTINATION, versions(first.version()));
    StoredResource second = ((WriteOutcome.Stored) outcome).resource();
    assertThat(second.version()).isGreaterThan(first.version());
    assertThat(second.createdAt()).isEqualTo(first.createdAt());
    assertThat(refusal(() -> put(id, Documents.DESTINATION, versions(first.version()))))
        .isEqualTo(ProblemCode.PRECONDITION_FAILED);
    assertThat(refusal(() -> put(id, Documents.DESTINATION, new Precondition.Absent())))
        .isEqualTo(ProblemCode.PRECONDITION_FAILED);
  }

  @Test
  void tunnel_isTheOnlyDestinationOfItsHostAndPort() {
    String tunnel = "{\"kind\":\"tunnel\",\"origin\":\"%s\"}";
    String http = Documents.DESTINATION.replace("https://api.openai.com", "%s");
    for (String origin : List.of("https://api.openai.com", "https://api.openai.com:443")) {
      assertThat(
              refusal(() -> put(id(ResourceKind.DESTINATION, "blind"), tunnel.formatted(origin))))
          .isEqualTo(ProblemCode.CONFLICT);
    }
    put(id(ResourceKind.DESTINATION, "blind"), tunnel.formatted("https://api.openai.com:8443"));
    put(id(ResourceKind.DESTINATION, "other"), tunnel.formatted("https://api.openai.com.test"));
    put(id(ResourceKind.DESTINATION, "same"), http.formatted("https://api.openai.com"));
    assertThat(
            refusal(() ->
                put(
                    id(ResourceKind.DESTINATION, "read"),
                    http.formatted("https://api.openai.com:8443"))))
        .isEqualTo(ProblemCode.CONFLICT);
    assertThat(
            refusal(() ->
                put(
                    id(ResourceKind.DESTINATION, "blind-too"),
                    tunnel.formatted("https://api.openai.com:8443"))))
        .isEqualTo(ProblemCode.CONFLICT);
  }

  @Test
  void scope_isOfTheKindOfItsDestination() {
    put(
        id(ResourceKind.DESTINATION, "blind"),
        "{\"kind\":\"tunnel\",\"origin\":\"https://vcs.test\"}");
    assertThat(refusal(() -> put(ResourceId.scope("blind", "all"), Documents.SCOPE)))
        .isEqualTo(ProblemCode.INVALID_FIELD);
    assertThat(refusal(() -> put(ResourceId.scope("openai", "all"), "{\"tunnel\":true}")))
        .isEqualTo(ProblemCode.INVALID_FIELD);
    put(ResourceId.scope("blind", "all"), "{\"tunnel\":true}");
    long version = store.get(id(ResourceKind.DESTINATION, "blind")).orElseThrow().version();
    assertThat(
            refusal(() ->
                put(
                    id(ResourceKind.DESTINATION, "blind"),
                    Documents.DESTINATION.replace("api.openai.com", "vcs.test"),
                    versions(version))))
        .isEqualTo(ProblemCode.CONFLICT);
  }

  @Test
  void put_afterDeletion_neverUsesAVersionAgain() {
    ResourceId id = ResourceId.scope("openai", "chat");
    long first = store.get(id).orElseThrow().version();
    store.write(order(id, new Operation.Delete(), versions(first), false));
    put(id, Documents.SCOPE);
    assertThat(refusal(() -> put(id, Documents.SCOPE, versions(first))))
        .isEqualTo(ProblemCode.PRECONDITION_FAILED);
  }

  @Test
  void patch_mergesAndRemoves() {
    put(
        id(ResourceKind.AGENT, "bot"),
        """
        {"identities": [], "maxTokenTtl": "5m", "enabled": true}\
        """);
    store.write(
        order(
            id(ResourceKind.AGENT, "bot"),
            new Operation.Patch(Documents.json("{\"maxTokenTtl\": null, \"enabled\": false}")),
            new Precondition.Present(),
            false));
    assertThat(store.get(id(ResourceKind.AGENT, "bot")).orElseThrow().spec())
        .isEqualTo(Documents.json("{\"identities\": [], \"enabled\": false}"));
  }

  @Test
  void write_whenTwoReadTheSameVersion_exactlyOneWins() throws Exception {
    ResourceId id = id(ResourceKind.DESTINATION, "openai");
    Precondition read = versions(store.get(id).orElseThrow().version());
    List<@Nullable ProblemCode> answers =
        race(8, n -> put(id, Documents.DESTINATION.replace("api_key", "key" + n), read));
    assertThat(answers).filteredOn(answer -> answer == null).hasSize(1);
    assertThat(answers)
        .filteredOn(answer -> answer != null)
        .containsOnly(ProblemCode.PRECONDITION_FAILED);
  }

  @Test
  void write_whenManyBindOneIdentityAtOnce_exactlyOneWins() throws Exception {
    List<@Nullable ProblemCode> answers =
        race(8, n -> put(id(ResourceKind.AGENT, "bot-" + n), Documents.agent("idp", "same")));
    assertThat(answers).filteredOn(answer -> answer == null).hasSize(1);
    assertThat(answers).filteredOn(answer -> answer != null).containsOnly(ProblemCode.CONFLICT);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          idp   | a                      | {}          | idp   | a                       | {}          | true
          idp   | a                      | {}          | idp   | b                       | {}          | false
          idp   | a/                     | {}          | idp   | a/b                     | {}          | false
          idp   | a                      | {"r":"1"}   | idp   | a                       | {"r":"2"}   | false
          idp   | a                      | {"r":"1"}   | idp   | a                       | {"q":"2"}   | true
          idp   | a                      | {"r":"1"}   | idp   | a                       | {}          | true
          idp   | a                      | {"r":"1","q":"1"} | idp | a                   | {"r":"1","q":"2"} | false
          spire | spiffe://td-a.test/ns/ | {}          | spire | spiffe://td-a.test/ns/b | {}          | true
          spire | spiffe://td-a.test/ns/b| {}          | spire | spiffe://td-a.test/ns/  | {}          | true
          spire | spiffe://td-a.test/ns/ | {}          | spire | spiffe://td-a.test/ns/x/| {}          | true
          spire | spiffe://td-a.test/    | {}          | spire | spiffe://td-a.test/ns/b | {}          | true
          spire | spiffe://td-a.test/ns/ | {}          | spire | spiffe://td-a.test/nsb  | {}          | false
          spire | spiffe://td-a.test/n   | {}          | spire | spiffe://td-a.test/n/b  | {}          | false
          spire | spiffe://td-a.test/a_/ | {}          | spire | spiffe://td-a.test/ab/c | {}          | false
          """)
  void put_whenAnotherAgentCouldMatchTheSameIdentity_refuses(
      String issuerA,
      String subjectA,
      String claimsA,
      String issuerB,
      String subjectB,
      String claimsB,
      boolean overlap) {
    put(id(ResourceKind.AGENT, "first"), identity(issuerA, subjectA, claimsA));
    String second = identity(issuerB, subjectB, claimsB);
    if (overlap) {
      var refused =
          catchThrowableOfType(
              RefusedException.class, () -> put(id(ResourceKind.AGENT, "second"), second));
      assertThat(refused.code()).isEqualTo(ProblemCode.CONFLICT);
      assertThat(refused.detail()).contains("first");
    } else {
      put(id(ResourceKind.AGENT, "second"), second);
    }
  }

  @Test
  void write_whenDryRun_showsTheDifferenceAndChangesNothing() {
    put(id(ResourceKind.AGENT, "claims-bot"), Documents.agent("idp", "bot"));
    put(id(ResourceKind.GRANT, "g"), Documents.GRANT);
    put(ResourceId.scope("openai", "files"), Documents.SCOPE);
    recorded.clear();
    StoredResource before = store.get(id(ResourceKind.GRANT, "g")).orElseThrow();
    long last = log.lastChange();
    WriteOutcome outcome =
        store.write(
            order(
                before.id(),
                new Operation.Put(
                    Documents.json(Documents.GRANT.replace("[\"chat\"]", "[\"files\", \"chat\"]"))),
                new Precondition.Unstated(),
                true));
    assertThat(((WriteOutcome.Rehearsed) outcome).changes())
        .extracting(Difference::path)
        .containsExactly("/scopes/0", "/scopes/1");
    assertThat(store.get(before.id())).contains(before);
    assertThat(log.lastChange()).isEqualTo(last);
    assertThat(recorded).isEmpty();
  }

  @Test
  void delete_whenStillReferredTo_namesWhatRefers() {
    put(id(ResourceKind.AGENT, "claims-bot"), Documents.agent("idp", "bot"));
    put(id(ResourceKind.GRANT, "g"), Documents.GRANT);
    assertThat(deletion(id(ResourceKind.ISSUER, "idp"))).contains("claims-bot");
    assertThat(deletion(id(ResourceKind.AGENT, "claims-bot"))).contains("grants: g");
    assertThat(deletion(ResourceId.scope("openai", "chat"))).contains("grants: g");
    assertThat(deletion(id(ResourceKind.DESTINATION, "openai"))).contains("scopes: chat");
  }

  @Test
  void put_whenScopeAndDestinationReadPathsDifferently_refuses() {
    ResourceId destination = id(ResourceKind.DESTINATION, "bucket");
    ResourceId scope = ResourceId.scope("bucket", "work");
    String canonical = Documents.DESTINATION;
    String raw = canonical.replaceFirst("\\{", "{\"rawPath\": true, ");
    put(destination, raw);
    for (String pattern : List.of("/b/*", "/b/*/c", "/b/**/c")) {
      var refused =
          catchThrowableOfType(
              InvalidResourceException.class, () -> put(scope, scopeOf("/b/k", pattern)));
      assertThat(refused.errors())
          .extracting(FieldError::pointer)
          .containsExactly("/allow/0/paths/1");
    }
    put(scope, scopeOf("/b//k/**", "/b/%2Fk"));
    Precondition present = new Precondition.Present();
    assertThat(refusal(() -> put(destination, canonical, present))).isEqualTo(ProblemCode.CONFLICT);
    put(scope, scopeOf("/b/k/**"), present);
    put(destination, canonical, present);
    assertThat(
            catchThrowableOfType(
                InvalidResourceException.class, () -> put(scope, scopeOf("/b//k"), present)))
        .isNotNull();
    put(scope, scopeOf("/b/*"), present);
    assertThat(refusal(() -> put(destination, raw, present))).isEqualTo(ProblemCode.CONFLICT);
  }

  private static String scopeOf(String... patterns) {
    return "{\"allow\": [{\"methods\": [\"GET\"], \"paths\": [\"%s\"]}]}"
        .formatted(String.join("\", \"", patterns));
  }

  @Test
  void put_whenReferencesDoNotExist_namesEach() {
    var refused =
        catchThrowableOfType(
            InvalidResourceException.class,
            () ->
                put(
                    id(ResourceKind.GRANT, "g"),
                    """
                    {"agent": "nobody", "destination": "openai", "scopes": ["chat", "none"]}\
                    """));
    assertThat(refused.code()).isEqualTo(ProblemCode.UNKNOWN_REFERENCE);
    assertThat(refused.errors())
        .extracting(FieldError::pointer)
        .containsExactly("/agent", "/scopes/1");
  }

  @Test
  void put_whenTheSubjectIsOfAnotherTrustDomain_refuses() {
    for (String subject :
        List.of(
            "spiffe://td-b.test/a",
            "spiffe://td-a.test.evil/a",
            "spiffe://td-a.test/a//b",
            "spiffe://td-a.test/../b",
            "bot")) {
      assertThat(
              refusal(() -> put(id(ResourceKind.AGENT, "bot"), Documents.agent("spire", subject))))
          .as(subject)
          .isEqualTo(ProblemCode.INVALID_FIELD);
    }
  }

  @Test
  void put_whenASecondIssuerHasTheSameKey_refuses() {
    assertThat(
            refusal(
                () -> put(id(ResourceKind.ISSUER, "copy"), Documents.OIDC_ISSUER.formatted("a"))))
        .isEqualTo(ProblemCode.CONFLICT);
  }

  @Test
  void page_staysInStepWhileResourcesComeAndGo() {
    for (String name : List.of("a", "c", "e", "g")) {
      put(id(ResourceKind.AGENT, name), "{\"identities\": []}");
    }
    ResourcePage first = store.page(ResourceKind.AGENT, null, 2, null);
    assertThat(names(first)).containsExactly("a", "c");
    put(id(ResourceKind.AGENT, "b"), "{\"identities\": []}");
    put(id(ResourceKind.AGENT, "d"), "{\"identities\": []}");
    store.write(
        order(
            id(ResourceKind.AGENT, "c"),
            new Operation.Delete(),
            new Precondition.Present(),
            false));
    ResourcePage second = store.page(ResourceKind.AGENT, null, 2, first.next());
    assertThat(names(second)).containsExactly("d", "e");
    ResourcePage third = store.page(ResourceKind.AGENT, null, 2, second.next());
    assertThat(names(third)).containsExactly("g");
    assertThat(third.next()).isNull();
  }

  @Test
  void write_numbersRecordsAndListsEachChange() {
    long last = log.lastChange();
    put(ResourceId.scope("openai", "files"), Documents.SCOPE);
    assertThat(log.changesSince(last, 10))
        .singleElement()
        .satisfies(change -> {
          assertThat(change.kind()).isEqualTo("scope");
          assertThat(change.name()).isEqualTo("openai/files");
        });
    assertThat(recorded).singleElement().satisfies(c -> assertThat(c.actor()).isEqualTo("tester"));
  }

  @Test
  void write_whenTheRecorderFails_changesNothing() {
    PolicyStore failing =
        PolicyDatabase.store(
            DATABASE,
            (connection, change) -> {
              throw new IllegalStateException("no audit");
            });
    ResourceId id = id(ResourceKind.AGENT, "bot");
    var order =
        order(
            id,
            new Operation.Put(Documents.json("{\"identities\": []}")),
            new Precondition.Unstated(),
            false);
    catchThrowableOfType(IllegalStateException.class, () -> failing.write(order));
    assertThat(store.get(id)).isEmpty();
  }

  private interface Attempt {
    void run(int number);
  }

  private static List<@Nullable ProblemCode> race(int count, Attempt attempt) throws Exception {
    CyclicBarrier start = new CyclicBarrier(count);
    List<Future<@Nullable ProblemCode>> answers = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < count; i++) {
        int number = i;
        Callable<@Nullable ProblemCode> call =
            () -> {
              start.await();
              return refusal(() -> attempt.run(number));
            };
        answers.add(threads.submit(call));
      }
    }
    List<@Nullable ProblemCode> codes = new ArrayList<>();
    for (Future<@Nullable ProblemCode> answer : answers) {
      codes.add(answer.get());
    }
    return codes;
  }

  private static @Nullable ProblemCode refusal(Runnable attempt) {
    try {
      attempt.run();
      return null;
    } catch (RefusedException e) {
      return e.code();
    }
  }

  private String deletion(ResourceId id) {
    return catchThrowableOfType(
            RefusedException.class,
            () -> store.write(order(id, new Operation.Delete(), new Precondition.Present(), false)))
        .detail();
  }

  private static String identity(String issuer, String subject, String claims) {
    return """
    {"identities": [{"issuer": "%s", "subject": "%s", "claims": %s}]}\
    """
        .formatted(issuer, subject, claims);
  }

  private static List<String> names(ResourcePage page) {
    return page.items().stream().map(resource -> resource.id().name()).toList();
  }

  private static ResourceId id(ResourceKind kind, String name) {
    return ResourceId.of(kind, name);
  }

  private static Precondition versions(long version) {
    return new Precondition.VersionIn(Set.of(version));
  }

  private WriteOutcome put(ResourceId id, String document) {
    return put(id, document, new Precondition.Unstated());
  }

  private WriteOutcome put(ResourceId id, String document, Precondition precondition) {
    return store.write(order(id, new Operation.Put(Documents.json(document)), precondition, false));
  }

  private static WriteOrder order(
      ResourceId id, Operation operation, Precondition precondition, boolean dryRun) {
    return new WriteOrder(id, operation, precondition, "tester", dryRun);
  }
}
