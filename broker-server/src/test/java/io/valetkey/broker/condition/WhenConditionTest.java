package io.valetkey.broker.condition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.problem.ProblemCode;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the language may do here, and what it may not. Invariant: D16. */
class WhenConditionTest {

  private record Bot(String agent, String issuer, String subject) implements Asker {}

  private static Verdict check(String when, String body) {
    var subject =
        new WhenCondition.Subject(
            "POST",
            "/v1/x",
            new Bot("bot", "ci", "repo:acme"),
            Map.of("page", "1"),
            Map.of("x-team", "blue"),
            body == null ? null : BodyJson.read(body.getBytes(StandardCharsets.UTF_8)));
    return WhenCondition.compile(when).check(subject);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "request.method == 'POST' && request.path.startsWith('/v1/')",
        "request.query.page == '1' && !('x' in request.query)",
        "request.headers['x-team'] in ['blue', 'red']",
        "agent.name == 'bot' && agent.issuer == 'ci' && agent.subject == 'repo:acme'",
        "body.n < 6 && body.n == 5.0 && body.f <= 2 && body.f > 1",
        "body.list.all(x, x in ['a', 'b']) && size(body.list) == 2",
        "has(body.nothing) && body.nothing == null && !has(body.missing)",
        "body.messages.exists(m, m.role == 'user')",
        "body.missing == 1 || true",
      })
  void condition_thatHolds_isMet(String when) {
    assertThat(check(when, BODY)).isEqualTo(Verdict.MET);
  }

  private static final String BODY =
      """
      {"n": 5, "f": 1.5, "list": ["a", "b"], "nothing": null, "text": "x",
       "messages": [{"role": "system"}, {"role": "user"}]}
      """;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          false                                                  | condition_false
          body.n == 6                                            | condition_false
          body.n == '5'                                          | condition_false
          body.missing == 1                                      | condition_failed
          body.text                                              | condition_failed
          body.text < 1                                          | condition_failed
          body.text.deep == 1                                    | condition_failed
          request.query.other == '1'                             | condition_failed
          1 / (body.n - 5) == 1                                  | condition_failed
          """)
  void condition_thatDoesNotHold_saysWhetherItIsFalseOrCannotBeTold(String when, String reason) {
    assertThat(check(when, BODY))
        .isInstanceOfSatisfying(
            Verdict.Unmet.class, unmet -> assertThat(unmet.reason().code()).isEqualTo(reason));
  }

  @Test
  void condition_aboutABodyThatIsNotThere_cannotBeTold() {
    assertThat(check("body.n == 1", null))
        .isInstanceOfSatisfying(
            Verdict.Unmet.class,
            unmet -> assertThat(unmet.reason()).isEqualTo(ProblemCode.CONDITION_FAILED));
  }

  /** A body of the largest size must not buy more time than the bound on steps allows. */
  @Test
  void condition_whoseLoopsAreTooLong_isCutOff() {
    StringBuilder body = new StringBuilder("{\"list\":[0");
    for (int i = 1; i < 2000; i++) {
      body.append(',').append(i);
    }
    String long2000 = body.append("]}").toString();
    for (String when :
        new String[] {
          "body.list.all(x, x >= 0)",
          "body.list.map(x, x + 1).size() > 0",
          "body.list.all(x, body.list.all(y, body.list.all(z, x + y + z >= 0)))"
        }) {
      assertThat(check(when, long2000))
          .isInstanceOfSatisfying(
              Verdict.Unmet.class,
              unmet -> {
                assertThat(unmet.reason()).isEqualTo(ProblemCode.CONDITION_FAILED);
                assertThat(unmet.detail()).contains("ITERATION_BUDGET_EXCEEDED");
              });
    }
  }

  @Test
  void detail_neverRepeatsWhatTheRequestSays() {
    Verdict verdict = check("body.n == body.list[body.text]", BODY.replace("\"x\"", "\"s3cret\""));
    assertThat(verdict).isInstanceOf(Verdict.Unmet.class);
    assertThat(verdict.toString()).doesNotContain("s3cret");
  }

  @Test
  void compile_ofWhatIsTooLongOrTooDeep_isRefused() {
    assertThatThrownBy(() -> WhenCondition.compile("true" + " || true".repeat(1000)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> WhenCondition.compile("(".repeat(500) + "true" + ")".repeat(500)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> WhenCondition.compile("request.method == 1"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("line 1, column 16");
  }

  @Test
  void needs_areWhatTheConditionNames() {
    assertThat(WhenCondition.compile("request.method == 'GET'").needs()).isEmpty();
    assertThat(
            WhenCondition.compile("has(body.x) || 'a' in request.query || agent.subject == ''")
                .needs())
        .isEqualTo(Set.of(Part.BODY, Part.QUERY, Part.IDENTITY));
    assertThat(WhenCondition.compile("[1].all(x, string(x) in request.headers)").needs())
        .isEqualTo(Set.of(Part.HEADERS));
  }
}
