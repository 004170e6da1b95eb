package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.valetkey.broker.policy.Plan.Action;
import io.valetkey.broker.problem.RefusedException;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Random sets of two owners, and sets that race. Invariants: D9, D10. */
class PolicyApplyTest {

  private static final DataSource DATABASE = PolicyDatabase.newDataSource();
  private static final int ROUNDS = 60;

  private final List<Change> recorded = new CopyOnWriteArrayList<>();
  private final List<Plan> applied = new CopyOnWriteArrayList<>();
  private final PolicyApply apply =
      new PolicyApply(
          DATABASE,
          new TransactionTemplate(new DataSourceTransactionManager(DATABASE)),
          new ResourceJson(),
          new ChangeLog(DATABASE, (connection, change) -> recorded.add(change)),
          (connection, order, plan) -> applied.add(plan));
  private final PolicyExport export = new PolicyExport(DATABASE);
  private final DeclaredDocuments documents =
      new DeclaredDocuments(
          new ResourceJson(),
          new ResourceValidator(address -> false, address -> true, path -> false));

  private List<DeclaredResource> read(List<ObjectNode> set) {
    return documents.read(set);
  }

  private Plan apply(String owner, List<ObjectNode> set, boolean dryRun) {
    return apply.apply(
        new ApplyOrder(owner, read(set), true, null, false, true, null, "tester", dryRun));
  }

  private Map<String, JsonNode> exported(String owner) {
    return export.of(owner).stream()
        .collect(
            Collectors.toMap(
                r -> r.id().kind().singular() + " " + r.id().qualifiedName(),
                StoredResource::spec));
  }

  private static Map<String, JsonNode> declared(List<ObjectNode> set) {
    Map<String, JsonNode> declared = new HashMap<>();
    for (ObjectNode document : set) {
      declared.put(
          document.get("kind").stringValue() + " " + document.get("name").stringValue(),
          document.get("spec"));
    }
    return declared;
  }

  @Test
  void randomSets_areThereAsDeclared_asPlanned_andNothingOfTheOther() {
    for (int round = 0; round < ROUNDS; round++) {
      var random = new Random(round);
      String owner = round % 2 == 0 ? "left" : "right";
      String other = round % 2 == 0 ? "right" : "left";
      Map<String, JsonNode> untouched = exported(other);
      List<ObjectNode> set = randomSet(owner, random);

      Plan plan = apply(owner, set, true);
      int before = recorded.size();
      Plan done = apply(owner, set, false);

      assertThat(done.revision()).as("round %d", round).isEqualTo(plan.revision());
      assertThat(fates(done)).isEqualTo(fates(plan));
      assertThat(recorded).hasSize(before + plan.changes().size());
      assertThat(exported(owner)).isEqualTo(declared(set));
      assertThat(exported(other)).isEqualTo(untouched);
      assertThat(apply(owner, set, true).changes()).isEmpty();
    }
    assertThat(applied).hasSize(ROUNDS);
  }

  private static List<String> fates(Plan plan) {
    return plan.steps().stream()
        .map(s -> s.action() + " " + s.id() + " " + s.differences())
        .toList();
  }

  private static List<ObjectNode> randomSet(String owner, Random random) {
    List<ObjectNode> set = new ArrayList<>();
    // Names and what only one may have are shuffled, so that they are swapped from set to set.
    List<Integer> keys = shuffled(1 + random.nextInt(3), random);
    for (int i = 0; i < keys.size(); i++) {
      add(set, "issuer", owner + i, Documents.OIDC_ISSUER.formatted(owner + keys.get(i)));
    }
    int agents = random.nextInt(5);
    List<Integer> subjects = shuffled(agents, random);
    for (int i = 0; i < agents; i++) {
      add(set, "agent", owner + i, Documents.agent(owner + 0, "subject-" + subjects.get(i)));
    }
    int destinations = random.nextInt(4);
    for (int i = 0; i < destinations; i++) {
      add(
          set,
          "destination",
          owner + i,
          Documents.DESTINATION.replace("api_key", "k" + random.nextInt(3)));
      add(set, "scope", owner + i + "/chat", Documents.SCOPE);
      if (random.nextBoolean()) {
        add(set, "scope", owner + i + "/none", "{\"allow\": []}");
      }
    }
    List<Integer> grantees = shuffled(agents, random);
    for (int i = 0; i < Math.min(agents, destinations); i++) {
      add(
          set,
          "grant",
          owner + "-" + i,
          "{\"agent\": \"%s\", \"destination\": \"%s\", \"scopes\": [\"chat\"]}"
              .formatted(owner + grantees.get(i), owner + i));
    }
    if (random.nextBoolean()) {
      add(
          set,
          "signal-rule",
          owner,
          "{\"source\": \"falco\", \"match\": {\"rule\": \"r\"}, \"action\": \"stop\"}");
    }
    Collections.shuffle(set, random);
    return set;
  }

  private static List<Integer> shuffled(int count, Random random) {
    List<Integer> numbers = new ArrayList<>(IntStream.range(0, count).boxed().toList());
    Collections.shuffle(numbers, random);
    return numbers;
  }

  private static void add(List<ObjectNode> set, String kind, String name, String spec) {
    ObjectNode document = new StrictJson().empty().put("kind", kind).put("name", name);
    document.set("spec", Documents.json(spec));
    set.add(document);
  }

  @Test
  void setsOfOneOwnerThatRace_endAsOneOfThem() throws Exception {
    List<List<ObjectNode>> sets = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      sets.add(randomSet("race", new Random(1000 + i)));
    }
    try (var threads = Executors.newFixedThreadPool(8)) {
      List<Callable<Plan>> tasks = new ArrayList<>();
      for (List<ObjectNode> set : sets) {
        tasks.add(() -> apply("race", set, false));
      }
      for (var done : threads.invokeAll(tasks)) {
        assertThat(done.get().owner()).isEqualTo("race");
      }
    }
    assertThat(sets.stream().map(PolicyApplyTest::declared)).contains(exported("race"));
  }

  @Test
  void setThatRacesASingleWrite_neverLosesIt() throws Exception {
    PolicyStore store = PolicyDatabase.store(DATABASE, (connection, change) -> {});
    List<ObjectNode> set = new ArrayList<>();
    add(set, "issuer", "single", Documents.OIDC_ISSUER.formatted("single"));
    add(set, "agent", "single", Documents.agent("single", "s"));
    apply("single", set, false);
    ResourceId agent = ResourceId.of(ResourceKind.AGENT, "single");
    for (int i = 0; i < 20; i++) {
      String revision = apply("single", set, true).revision();
      try (var threads = Executors.newFixedThreadPool(2)) {
        var order =
            new ApplyOrder("single", read(set), true, null, false, false, revision, "t", false);
        var byHand =
            threads.submit(() ->
                store.write(
                    new WriteOrder(
                        agent,
                        new WriteOrder.Operation.Patch(Documents.json("{\"enabled\": false}")),
                        new Precondition.Present(),
                        "hand",
                        false)));
        var bySet =
            threads.submit(() -> {
              try {
                return apply.apply(order).changes().size();
              } catch (RefusedException e) {
                return e.code().status();
              }
            });
        byHand.get();
        // The set came first, or saw that it was no longer what had been agreed to.
        assertThat(bySet.get()).isIn(0, 412);
      }
      StoredResource stored = store.get(agent).orElseThrow();
      assertThat(stored.spec().get("enabled").booleanValue()).isFalse();
      assertThat(stored.hasDrifted()).isTrue();
      assertThat(apply("single", set, false).count(Action.CHANGE)).isEqualTo(1);
    }
  }

  @Test
  void whenTheRecorderFails_nothingIsChanged() {
    var failing =
        new PolicyApply(
            DATABASE,
            new TransactionTemplate(new DataSourceTransactionManager(DATABASE)),
            new ResourceJson(),
            new ChangeLog(DATABASE, (connection, change) -> {}),
            (connection, order, plan) -> {
              throw new SQLException("no");
            });
    List<ObjectNode> set = new ArrayList<>();
    add(set, "issuer", "unrecorded", Documents.OIDC_ISSUER.formatted("unrecorded"));
    var order = new ApplyOrder("unrecorded", read(set), true, null, false, false, null, "t", false);
    assertThat(catchThrowable(() -> failing.apply(order))).isNotNull();
    assertThat(exported("unrecorded")).isEmpty();
    assertThat(
            JdbcClient.create(DATABASE)
                .sql("SELECT count(*) FROM change_log WHERE name = 'unrecorded'")
                .query(Long.class)
                .single())
        .isZero();
  }
}
