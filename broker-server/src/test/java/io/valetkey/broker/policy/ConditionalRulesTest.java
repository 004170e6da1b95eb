package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.valetkey.broker.condition.Asker;
import io.valetkey.broker.condition.Conditions;
import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.QueryValues;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.condition.TestFacts;
import io.valetkey.broker.problem.ProblemCode;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** How conditions of several rules make one answer. Invariants: D15, D16. */
class ConditionalRulesTest {

  private static final Predicate<String> ALL = scope -> true;

  private static RequestFacts facts(String query, String json) {
    return json == null ? TestFacts.withUnreadBody(query) : TestFacts.withBody(query, json);
  }

  private static ScopeSpec.Rule rule(String path, Conditions conditions) {
    return new ScopeSpec.Rule(List.of("POST"), List.of(path), null, conditions);
  }

  private static ScopeRules.Answer match(
      List<ScopeSpec.Rule> rules, String path, RequestFacts facts) {
    return new ScopeRules(Map.of("s", rules), Set.of("x-key"))
        .match(new TestAttempt("POST", RequestPath.parse(path), facts), ALL);
  }

  @Test
  void plainRule_allowsWithoutTheBodyThatAMoreLiteralOneWants() {
    var rules = List.of(rule("/a/b", Conditions.onlyWhen("body.x == 1")), rule("/a/*", null));
    assertThat(match(rules, "/a/b", facts(null, null)))
        .isEqualTo(new ScopeRules.Match("s", "/a/*"));
  }

  @Test
  void perhaps_comesBeforeNo_andNamesTheLargestBodyThatAnyRuleWouldLookAt() {
    var none = Conditions.onQuery(Map.of());
    var small = new Conditions(null, null, null, null, "body.x == 1", 100L);
    var large = new Conditions(null, null, null, null, "body.x == 2", 1000L);
    var rules = List.of(rule("/a", none), rule("/a", small), rule("/*", large));
    assertThat(match(rules, "/a", facts("q=1", null)))
        .isInstanceOfSatisfying(
            ScopeRules.Missing.class,
            missing -> {
              assertThat(missing.part()).isEqualTo(Part.BODY);
              assertThat(missing.mostBytes()).isEqualTo(1000);
              assertThat(missing.rule().id()).isEqualTo("s:/a#1");
            });
    assertThat(match(rules, "/a", facts("q=1", "{\"x\":2}")))
        .isInstanceOfSatisfying(
            ScopeRules.Match.class, match -> assertThat(match.id()).isEqualTo("s:/*#2"));
    assertThat(match(rules, "/a", facts("q=1", "{\"x\":3}")))
        .isInstanceOfSatisfying(
            ScopeRules.Unmet.class, unmet -> assertThat(unmet.rule().id()).isEqualTo("s:/a#0"));
  }

  @Test
  void scopeThatIsNotAllowed_isNotAskedForItsConditions() {
    var rules = new ScopeRules(Map.of("s", List.of(rule("/a", Conditions.onlyWhen("true")))));
    var attempt = new TestAttempt("POST", RequestPath.parse("/a"), facts(null, null));
    assertThat(rules.match(attempt, scope -> false)).isNull();
    assertThat(rules.match(attempt, ALL)).isInstanceOf(ScopeRules.Match.class);
  }

  @Test
  void broken_conditionOfAStoredRule_neverAllows() {
    assertThat(match(List.of(rule("/a", Conditions.onlyWhen("((("))), "/a", facts(null, "{}")))
        .isInstanceOfSatisfying(
            ScopeRules.Unmet.class,
            unmet -> assertThat(unmet.unmet().reason()).isEqualTo(ProblemCode.CONDITION_FAILED));
  }

  @Test
  void headerThatCarriesTheCredential_isNotSeen() {
    var facts = new TestFacts(null, Map.of("x-key", List.of("k"), "x-b", List.of("b")), null, true);
    assertThat(
            match(
                List.of(rule("/a", Conditions.onlyWhen("'x-key' in request.headers"))),
                "/a",
                facts))
        .isInstanceOf(ScopeRules.Unmet.class);
    assertThat(
            match(
                List.of(rule("/a", Conditions.onlyWhen("'x-b' in request.headers"))), "/a", facts))
        .isInstanceOf(ScopeRules.Match.class);
  }

  @Test
  void identityThatIsNotKnown_isNotGuessed() {
    record Somebody(String agent, String issuer, String subject) implements Asker {}
    var rules =
        new ScopeRules(
            Map.of("s", List.of(rule("/a", Conditions.onlyWhen("agent.subject != 'x'")))));
    var attempt =
        new TestAttempt(
            "POST", RequestPath.parse("/a"), new Somebody("bot", null, null), facts(null, null));
    assertThat(rules.match(attempt, ALL)).isInstanceOf(ScopeRules.Missing.class);
  }

  /** Less known never makes a yes of what is a no when more is known, nor the other way round. */
  @Property(tries = 300)
  void answer_withoutTheBody_isNeverTakenBackWithIt(@ForAll long seed) {
    var random = new java.util.Random(seed);
    var rules = new java.util.ArrayList<ScopeSpec.Rule>();
    for (int i = 0; i < 1 + random.nextInt(4); i++) {
      rules.add(rule(random.nextBoolean() ? "/a" : "/*", conditions(random)));
    }
    String query = random.nextBoolean() ? null : "q=" + random.nextInt(2);
    String body = "{\"x\":" + random.nextInt(2) + "}";
    var without = match(rules, "/a", facts(query, null));
    var with = match(rules, "/a", facts(query, body));
    assertThat(with).isNotInstanceOf(ScopeRules.Missing.class);
    if (without instanceof ScopeRules.Match) {
      assertThat(with).isInstanceOf(ScopeRules.Match.class);
    }
    if (!(without instanceof ScopeRules.Match) && !(without instanceof ScopeRules.Missing)) {
      assertThat(with).isNotInstanceOf(ScopeRules.Match.class);
    }
    boolean expected = rules.stream().anyMatch(rule -> holds(rule.conditions(), query, body));
    assertThat(with instanceof ScopeRules.Match).isEqualTo(expected);
  }

  private static Conditions conditions(RandomGenerator random) {
    return switch (random.nextInt(4)) {
      case 0 -> null;
      case 1 ->
          Conditions.onQuery(Map.of("q", new QueryValues.OneOf(List.of("" + random.nextInt(2)))));
      case 2 -> Conditions.onlyWhen("body.x == " + random.nextInt(2));
      default -> Conditions.onlyWhen("request.query.q == '" + random.nextInt(2) + "'");
    };
  }

  /** The same once more, in words of its own. */
  private static boolean holds(Conditions conditions, String query, String body) {
    if (conditions == null) {
      return true;
    }
    if (conditions.query() != null) {
      var values = ((QueryValues.OneOf) conditions.query().get("q")).values();
      return query == null || values.contains(query.substring(2));
    }
    String when = conditions.when();
    return when.startsWith("body")
        ? body.equals("{\"x\":" + when.substring(when.length() - 1) + "}")
        : query != null && when.contains("'" + query.substring(2) + "'");
  }

  @Test
  void match_ofAPlainRule_allocatesNothing() {
    var rules = new ScopeRules(Map.of("s", List.of(rule("/v1/chat/*", null))));
    var attempt = new TestAttempt("POST", RequestPath.parse("/v1/chat/x"));
    var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    int found = 0;
    for (int i = 0; i < 20_000; i++) {
      found += rules.match(attempt, ALL) instanceof ScopeRules.Match ? 1 : 0;
    }
    long before = threads.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < 20_000; i++) {
      found += rules.match(attempt, ALL) instanceof ScopeRules.Match ? 1 : 0;
    }
    long allocated = threads.getCurrentThreadAllocatedBytes() - before;
    assertThat(found).isEqualTo(40_000);
    // Less than one object each: what is there is the measurement's own.
    assertThat(allocated).isLessThan(20_000);
  }
}
