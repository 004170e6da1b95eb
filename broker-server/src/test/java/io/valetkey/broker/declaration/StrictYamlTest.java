package io.valetkey.broker.declaration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.valetkey.broker.policy.InvalidResourceException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class StrictYamlTest {

  private static List<JsonNode> read(String yaml) {
    return new StrictYaml(1 << 20).documents(yaml.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void documents_areWhatJsonWouldSay() {
    JsonNode read =
        read("""
        text: yes
        upper: True
        sure: true
        none: null
        whole: 42
        broken: 1.5
        when: 2027-03-01T00:00:00Z
        octal: 010
        quoted: "7"
        block: |
          two
          lines
        list: [a, {b: c}]
        """)
            .getFirst();
    JsonNode expected =
        JsonMapper.shared()
            .readTree(
                """
                {"text": "yes", "upper": "True", "sure": true, "none": null, "whole": 42, "broken": 1.5,
                 "when": "2027-03-01T00:00:00Z", "octal": "010", "quoted": "7", "block": "two\\nlines\\n",
                 "list": ["a", {"b": "c"}]}
                """);
    assertThat(read.toString()).isEqualTo(expected.toString());
  }

  @Test
  void stream_hasManyDocuments_andEmptyOnesDoNotCount() {
    assertThat(read("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n")).hasSize(2);
    assertThat(read("")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a: &x 1",
        "a: &x {b: 1}\nc: *x",
        "a: !!str 1",
        "a: !ruby/object:x {}",
        "--- !!map\na: 1",
        "%YAML 1.1\n---\na: 1",
        "%TAG ! tag:x,2000:\n---\na: 1",
        "a: 1\na: 2",
        "a: {b: 1, \"b\": 2}",
        "1: a",
        "null: a",
        "{a: 1}: b",
        "a: [1",
        "a: b: c",
        "\ta: 1",
        "a: \"\\0\"",
        "a: .inf",
      })
  void whatHasAnotherReading_isRefusedWithItsPlace(String yaml) {
    var refusal = catchThrowableOfType(InvalidResourceException.class, () -> read(yaml));
    assertThat(refusal).as(yaml).isNotNull();
    assertThat(refusal.code().code()).isEqualTo("invalid_json");
    assertThat(refusal.errors().getFirst().detail()).contains("line ");
  }

  @Test
  void whatIsTooDeepOrTooLarge_isRefused() {
    String deep = "[".repeat(30) + "]".repeat(30);
    assertThat(catchThrowableOfType(InvalidResourceException.class, () -> read(deep))).isNotNull();
    String large = "a: " + "x".repeat(1 << 20);
    var refusal = catchThrowableOfType(InvalidResourceException.class, () -> read(large));
    assertThat(refusal.code().code()).isEqualTo("content_too_large");
  }
}
