package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** The compiled rules: one table of meaning, one naive matcher to compare with. */
class ScopeRulesTest {

  private static final ScopeRules OPENAI =
      new ScopeRules(
          Map.of(
              "chat", List.of(rule("POST", "/v1/chat/completions")),
              "models", List.of(rule("GET", "/v1/models", "/v1/models/*"))));

  @Test
  void match_whenThereAreNoRules_allowsNothing() {
    assertThat(
            new ScopeRules(Map.of())
                .match(new TestAttempt("GET", RequestPath.parse("/")), s -> true))
        .isNull();
  }

  @Test
  void match_whenTheScopeIsNotAllowed_allowsNothing() {
    RequestPath path = RequestPath.parse("/v1/chat/completions");
    assertThat(OPENAI.match(new TestAttempt("POST", path), Set.of("models")::contains)).isNull();
    assertThat(OPENAI.match(new TestAttempt("POST", path), Set.of("chat")::contains))
        .isEqualTo(new ScopeRules.Match("chat", "/v1/chat/completions"));
  }

  @Test
  void match_whenTheMethodIsUnknownOrInLowerCase_allowsNothing() {
    RequestPath path = RequestPath.parse("/v1/models");
    assertThat(OPENAI.match(new TestAttempt("get", path), s -> true)).isNull();
    assertThat(OPENAI.match(new TestAttempt("TRACE", path), s -> true)).isNull();
    assertThat(OPENAI.match(new TestAttempt("HEAD", path), s -> true)).isNull();
  }

  @Test
  void match_ofAWebSocket_needsARuleThatSaysSo() {
    RequestPath path = RequestPath.parse("/v1/live");
    List<String> paths = List.of("/v1/live");
    var plain = List.of(new ScopeSpec.Rule(ScopeRules.METHODS, paths, false));
    var open = List.of(new ScopeSpec.Rule(List.of("GET"), paths, true));
    var post = List.of(new ScopeSpec.Rule(List.of("POST"), paths, true));
    var rules = new ScopeRules(Map.of("plain", plain, "open", open, "post", post));
    assertThat(rules.match(new TestAttempt(ScopeRules.WEB_SOCKET, path), "plain"::equals)).isNull();
    assertThat(rules.match(new TestAttempt(ScopeRules.WEB_SOCKET, path), "post"::equals)).isNull();
    assertThat(rules.match(new TestAttempt(ScopeRules.WEB_SOCKET, path), s -> true))
        .isEqualTo(new ScopeRules.Match("open", "/v1/live"));
    assertThat(rules.match(new TestAttempt("GET", path), "open"::equals)).isNotNull();
  }

  @Test
  void compile_whenTheMethodIsUnknown_saysWhich() {
    assertThatThrownBy(() -> new ScopeRules(Map.of("s", List.of(rule("get", "/")))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'get'");
    assertThatThrownBy(() -> new ScopeRules(Map.of("s", List.of(rule(ScopeRules.WEB_SOCKET, "/")))))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void nearest_prefersTheSamePathOverTheSamePrefix() {
    ScopeRules.Nearest nearest =
        OPENAI.nearest("DELETE", RequestPath.parse("/v1/models/gpt"), s -> true);
    assertThat(nearest)
        .isEqualTo(
            new ScopeRules.Nearest(
                ScopeRules.Closeness.OTHER_METHOD,
                new ScopeRules.Match("models", "/v1/models/*"),
                List.of("GET"),
                true));
    assertThat(OPENAI.nearest("POST", RequestPath.parse("/v1/chat/x"), s -> true).closeness())
        .isEqualTo(ScopeRules.Closeness.SAME_PREFIX);
    assertThat(
            OPENAI
                .nearest("GET", RequestPath.parse("/v1/models"), Set.of("chat")::contains)
                .closeness())
        .isEqualTo(ScopeRules.Closeness.OTHER_SCOPE);
    assertThat(OPENAI.nearest("GET", RequestPath.parse("/x"), s -> true)).isNull();
  }

  @Property
  void match_agreesWithTheNaiveMatcher(
      @ForAll("rules") Map<String, List<ScopeSpec.Rule>> rules,
      @ForAll("paths") String path,
      @ForAll("method") String method,
      @ForAll
          Set<
                  @net.jqwik.api.constraints.StringLength(1)
                  @net.jqwik.api.constraints.CharRange(from = 'x', to = 'z') String>
              allowed) {
    ScopeRules.Answer match =
        new ScopeRules(rules)
            .match(new TestAttempt(method, RequestPath.parse(path)), allowed::contains);
    List<ScopeRules.Answer> naive = naive(rules, method, path, allowed);
    if (naive.isEmpty()) {
      assertThat(match).isNull();
    } else {
      assertThat(naive).contains(match);
    }
  }

  private static List<ScopeRules.Answer> naive(
      Map<String, List<ScopeSpec.Rule>> rules, String method, String path, Set<String> allowed) {
    List<ScopeRules.Answer> matches = new ArrayList<>();
    rules.forEach((scope, list) -> {
      for (ScopeSpec.Rule rule : list) {
        for (String pattern : rule.paths()) {
          // A second description of the same meaning, as a regular expression.
          String regex =
              pattern.replace("/**", "/:").replace("*", "[^/]+").replace("/:", "/.*") + "$";
          if (allowed.contains(scope) && rule.methods().contains(method) && path.matches(regex)) {
            matches.add(new ScopeRules.Match(scope, pattern));
          }
        }
      }
    });
    return matches;
  }

  @Provide
  Arbitrary<String> method() {
    return Arbitraries.of("GET", "POST", "DELETE");
  }

  @Provide
  Arbitrary<String> paths() {
    return segments(Arbitraries.of("a", "b", "c"), Arbitraries.of("a", "b", "c", ""));
  }

  @Provide
  Arbitrary<Map<String, List<ScopeSpec.Rule>>> rules() {
    Arbitrary<String> patterns =
        segments(Arbitraries.of("a", "b", "*"), Arbitraries.of("a", "b", "*", "**", ""));
    Arbitrary<ScopeSpec.Rule> rule =
        Combinators.combine(method().list().ofMinSize(1).ofMaxSize(2), patterns.list().ofMaxSize(4))
            .as(ScopeSpec.Rule::new);
    return Arbitraries.maps(Arbitraries.of("x", "y", "z"), rule.list().ofMaxSize(3))
        .ofMaxSize(3)
        .map(LinkedHashMap::new);
  }

  private static Arbitrary<String> segments(Arbitrary<String> inner, Arbitrary<String> last) {
    return Combinators.combine(inner.list().ofMaxSize(4), last)
        .as((list, end) -> "/" + String.join("", list.stream().map(s -> s + "/").toList()) + end);
  }

  private static ScopeSpec.Rule rule(String method, String... paths) {
    return new ScopeSpec.Rule(List.of(method), List.of(paths));
  }
}
