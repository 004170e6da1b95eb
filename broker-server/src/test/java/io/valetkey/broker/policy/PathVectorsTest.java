package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The language-neutral vectors in {@code testdata/paths}. */
class PathVectorsTest {

  @TestFactory
  List<DynamicTest> parse_whenPathIsCanonical_decodesEachSegmentOnce() {
    return each(
        read("requests.json").get("accepted"),
        vector -> {
          RequestPath path = RequestPath.parse(vector.get("path").asString());
          List<String> segments = new ArrayList<>();
          for (int i = 0; i < path.size(); i++) {
            segments.add(path.segment(i));
          }
          assertThat(segments).isEqualTo(strings(vector.get("segments")));
          assertThat(path.raw()).isEqualTo(vector.get("path").asString());
        });
  }

  @TestFactory
  List<DynamicTest> parse_whenPathHasAnotherReading_refuses() {
    return each(
        read("requests.json").get("refused"),
        vector ->
            assertThatThrownBy(() -> RequestPath.parse(vector.get("path").asString()))
                .as(vector.get("why").asString())
                .isInstanceOfSatisfying(
                    RefusedException.class,
                    e -> assertThat(e.code()).isEqualTo(ProblemCode.INVALID_PATH)));
  }

  @TestFactory
  List<DynamicTest> match_followsTheTable() {
    return each(
        read("patterns.json").get("cases"),
        vector -> {
          String pattern = vector.get("pattern").asString();
          RequestPath path = RequestPath.parse(vector.get("path").asString());
          boolean expected = vector.get("matches").asBoolean();
          ScopeRules rules =
              new ScopeRules(
                  Map.of("s", List.of(new ScopeSpec.Rule(List.of("GET"), List.of(pattern)))));
          assertThat(rules.match(new TestAttempt("GET", path), s -> true) != null)
              .isEqualTo(expected);
          assertThat(PathPattern.parse(pattern).matches(path)).isEqualTo(expected);
        });
  }

  @TestFactory
  List<DynamicTest> receive_ofARawPath_leavesNoWayOutOfAPrefix() {
    return each(
        read("raw.json").get("refused"),
        vector -> {
          String path = vector.get("path").asString();
          assertThatThrownBy(() -> RequestPath.receive(path).readAs(true))
              .as(vector.get("why").asString())
              .isInstanceOfSatisfying(
                  RefusedException.class,
                  e -> assertThat(e.code()).isEqualTo(ProblemCode.INVALID_PATH));
        });
  }

  @TestFactory
  List<DynamicTest> match_ofRawPaths_comparesBytes() {
    return each(
        read("raw.json").get("cases"),
        vector -> {
          String pattern = vector.get("pattern").asString();
          RequestPath path = RequestPath.receive(vector.get("path").asString());
          boolean expected = vector.get("matches").asBoolean();
          ScopeRules rules =
              new ScopeRules(
                  Map.of("s", List.of(new ScopeSpec.Rule(List.of("GET"), List.of(pattern)))),
                  Set.of(),
                  Map.of(),
                  true);
          assertThat(rules.match(new TestAttempt("GET", path), s -> true) != null)
              .isEqualTo(expected);
          assertThat(PathPattern.parseRaw(pattern).matches(path.readAs(true))).isEqualTo(expected);
          assertThat(path.readAs(true).raw()).isEqualTo(vector.get("path").asString());
        });
  }

  @Test
  void readAs_whenTheDestinationTakesNoRawPaths_refusesWhatIsNotCanonical() {
    for (String path : List.of("/a//b", "/a%2Fb", "/a;b", "/a%252Fb", "/%2Ea")) {
      RequestPath received = RequestPath.receive(path);
      assertThatThrownBy(() -> received.readAs(false)).isInstanceOf(RefusedException.class);
      var rules =
          new ScopeRules(Map.of("s", List.of(new ScopeSpec.Rule(List.of("GET"), List.of("/**")))));
      assertThatThrownBy(() -> rules.match(new TestAttempt("GET", received), s -> true))
          .isInstanceOf(RefusedException.class);
    }
  }

  @TestFactory
  List<DynamicTest> parseRaw_whenPatternIsNoPrefix_saysSoInASentence() {
    return each(
        read("raw.json").get("invalidPatterns"),
        vector ->
            assertThatThrownBy(() -> PathPattern.parseRaw(vector.asString()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageEndingWith("."));
  }

  @TestFactory
  List<DynamicTest> parse_whenPatternIsNotOne_saysSoInASentence() {
    return each(
        read("patterns.json").get("invalidPatterns"),
        vector ->
            assertThatThrownBy(() -> PathPattern.parse(vector.asString()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageEndingWith("."));
  }

  private interface Check {
    void on(JsonNode vector);
  }

  private static List<DynamicTest> each(JsonNode vectors, Check check) {
    assertThat(vectors).isNotEmpty();
    return StreamSupport.stream(vectors.spliterator(), false)
        .map(vector -> DynamicTest.dynamicTest(vector.toString(), () -> check.on(vector)))
        .toList();
  }

  private static List<String> strings(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).map(JsonNode::asString).toList();
  }

  private static JsonNode read(String name) {
    return JsonMapper.builder().build().readTree(Path.of("../testdata/paths", name).toFile());
  }
}
