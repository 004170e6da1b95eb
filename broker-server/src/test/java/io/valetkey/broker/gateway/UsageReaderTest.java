package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** What an answer says about its model tokens, and what only looks like it. Invariant: D18. */
class UsageReaderTest {

  private static final String JSON = "application/json; charset=utf-8";
  private static final String EVENTS = "text/event-stream";

  private record Case(String name, String type, String body, long tokens, boolean isFinal) {}

  private static final List<Case> CASES =
      List.of(
          new Case(
              "OpenAI chat",
              JSON,
              "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"hi\"}}],\"usage\":{\"prompt_tokens\":12,"
                  + "\"completion_tokens\":30,\"total_tokens\":42,\"prompt_tokens_details\":{\"cached_tokens\":900}}}",
              42,
              true),
          new Case(
              "a total that is too small",
              JSON,
              "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":30,\"total_tokens\":1}}",
              42,
              true),
          new Case(
              "OpenAI embeddings",
              JSON,
              "{\"data\":[[0.1,0.2]],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
              8,
              true),
          new Case(
              "OpenAI responses",
              JSON,
              "{\"object\":\"response\",\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{\"cached_tokens\":0},"
                  + "\"output_tokens\":87,\"total_tokens\":123},\"metadata\":{}}",
              123,
              true),
          new Case(
              "Anthropic",
              JSON,
              "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":100,"
                  + "\"cache_read_input_tokens\":null,\"output_tokens\":5,\"service_tier\":\"standard\"}}",
              115,
              true),
          new Case(
              "OpenAI events, with usage in the last one",
              EVENTS,
              "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n"
                  + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}\n\n"
                  + "data: [DONE]\n\n",
              12,
              true),
          new Case(
              "OpenAI events without usage",
              EVENTS,
              "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n",
              0,
              false),
          new Case(
              "OpenAI responses events",
              EVENTS,
              "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n"
                  + "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":"
                  + "{\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}}\n\n",
              7,
              true),
          new Case(
              "Anthropic events",
              EVENTS,
              "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,"
                  + "\"output_tokens\":1}}}\r\n\r\nevent: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\n"
                  + "event: message_delta\r\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\r\n\r\n"
                  + "event: message_delta\r\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\r\n\r\n",
              40,
              true),
          new Case(
              "Anthropic events that end before they said what it has cost",
              EVENTS,
              "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n",
              26,
              false),
          new Case(
              "one event in several lines of data, after words that are none",
              EVENTS,
              ":hello\ndata: ok\n\nid: 7\ndata:{\"usage\":\ndata:  {\"total_tokens\":6}\ndata: }\n\n",
              6,
              true),
          new Case(
              "two objects: the larger",
              JSON,
              "{\"usage\":{\"total_tokens\":900},\"a\":1,\"usage\":{\"total_tokens\":2}}",
              900,
              true),
          new Case(
              "text that looks like usage",
              JSON,
              "{\"choices\":[{\"message\":{\"content\":\"{\\\"usage\\\":{\\\"total_tokens\\\":1}}\"}}]}",
              0,
              false),
          new Case(
              "usage of a choice",
              JSON,
              "{\"choices\":[{\"message\":{\"usage\":{\"total_tokens\":1}}}],\"x\":{\"usage\":{\"total_tokens\":1}}}",
              0,
              false),
          new Case(
              "usage in the input of a tool",
              JSON,
              "{\"content\":[{\"type\":\"tool_use\",\"input\":{\"usage\":{\"total_tokens\":1}}}],"
                  + "\"metadata\":{\"usage\":{\"total_tokens\":1}}}",
              0,
              false),
          new Case("usage in a list", JSON, "[{\"usage\":{\"total_tokens\":1}}]", 0, false),
          new Case("a list as usage", JSON, "{\"usage\":[{\"total_tokens\":1}]}", 0, false),
          new Case(
              "a name that was escaped", JSON, "{\"\\u0075sage\":{\"total_tokens\":1}}", 1, true),
          new Case("usage of other things", JSON, "{\"usage\":{\"seconds\":3}}", 0, false),
          new Case("a deeper count", JSON, "{\"usage\":{\"x\":{\"total_tokens\":1}}}", 0, false),
          new Case("negative", JSON, "{\"usage\":{\"total_tokens\":-5}}", 0, false),
          new Case(
              "one negative of several",
              JSON,
              "{\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":-7}}",
              7,
              false),
          new Case("fraction", JSON, "{\"usage\":{\"total_tokens\":1.0}}", 0, false),
          new Case("exponent", JSON, "{\"usage\":{\"total_tokens\":1e2}}", 0, false),
          new Case("string", JSON, "{\"usage\":{\"total_tokens\":\"1\"}}", 0, false),
          new Case("object", JSON, "{\"usage\":{\"total_tokens\":{\"total_tokens\":1}}}", 0, false),
          new Case("huge", JSON, "{\"usage\":{\"total_tokens\":1000000001}}", 0, false),
          new Case(
              "huger", JSON, "{\"usage\":{\"total_tokens\":99999999999999999999999}}", 0, false),
          new Case(
              "endless", JSON, "{\"usage\":{\"total_tokens\":" + "9".repeat(5000) + "}}", 0, false),
          new Case(
              "a document that is cut", JSON, "{\"usage\":{\"total_tokens\":4},\"x\":", 4, false),
          new Case(
              "an event that is cut",
              EVENTS,
              "data: {\"usage\":{\"total_tokens\":4}\n\n",
              4,
              false),
          new Case("not JSON", JSON, "{usage:{total_tokens:4}}", 0, false),
          new Case("more after the end", JSON, "{\"usage\":{\"total_tokens\":4}}}", 4, false),
          new Case("too deep", JSON, "[".repeat(5000), 0, false),
          new Case(
              "spaces without end", EVENTS, "data:" + " ".repeat(100_000) + "{}\n\n", 0, false),
          new Case("another type", "text/html", "{\"usage\":{\"total_tokens\":4}}", 0, false),
          new Case("no type", null, "{\"usage\":{\"total_tokens\":4}}", 0, false));

  @TestFactory
  Stream<DynamicTest> answer_isReadTheSameHoweverItIsCut() {
    return CASES.stream().map(each -> DynamicTest.dynamicTest(each.name, () -> read(each)));
  }

  private static void read(Case each) {
    byte[] body = each.body.getBytes(StandardCharsets.UTF_8);
    Random random = new Random(1);
    for (int round = 0; round < 30; round++) {
      int longest = round == 0 ? body.length : 1 + random.nextInt(round * 3);
      UsageReader reader = UsageReader.of(each.type);
      for (int at = 0; at < body.length; ) {
        int end = Math.min(body.length, at + 1 + random.nextInt(longest));
        byte[] piece = Arrays.copyOfRange(body, at, round == 0 ? body.length : end);
        byte[] before = piece.clone();
        reader.feed(piece);
        assertThat(piece).isEqualTo(before);
        at += piece.length;
      }
      assertThat(reader.tokens()).isEqualTo(each.tokens);
      assertThat(reader.isFinal()).isEqualTo(each.isFinal);
    }
  }

  /** Whatever it is: nothing is thrown, and how it was cut makes no difference. */
  @Test
  void answerThatWasChangedAnywhere_isReadTheSameHoweverItIsCut() {
    Random random = new Random(7);
    for (int round = 0; round < 40_000; round++) {
      Case each = CASES.get(random.nextInt(CASES.size()));
      byte[] body = each.body.getBytes(StandardCharsets.UTF_8);
      if (body.length > 1000) {
        continue;
      }
      for (int i = random.nextInt(4); i >= 0; i--) {
        byte[] other =
            CASES.get(random.nextInt(CASES.size())).body.getBytes(StandardCharsets.UTF_8);
        body[random.nextInt(body.length)] =
            random.nextBoolean() ? (byte) random.nextInt() : other[random.nextInt(other.length)];
      }
      UsageReader whole = UsageReader.of(each.type);
      whole.feed(body);
      UsageReader cut = UsageReader.of(each.type);
      for (int at = 0; at < body.length; ) {
        int end = Math.min(body.length, at + 1 + random.nextInt(9));
        cut.feed(Arrays.copyOfRange(body, at, end));
        at = end;
      }
      String what = new String(body, StandardCharsets.ISO_8859_1);
      assertThat(cut.tokens()).as(what).isEqualTo(whole.tokens()).isNotNegative();
      assertThat(cut.isFinal()).as(what).isEqualTo(whole.isFinal());
    }
  }

  @Test
  void stringOfManyMegabytes_isPassedOver() {
    UsageReader reader = UsageReader.of(JSON);
    feed(reader, "{\"image\":\"");
    byte[] piece =
        "aé\\\"\\u00e9\\\\😀{\""
            .replace("{\"", "{")
            .repeat(10_000)
            .getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 300; i++) {
      reader.feed(piece);
    }
    feed(reader, "\",\"usage\":{\"total_tokens\":77}}");
    assertThat(reader.tokens()).isEqualTo(77);
    assertThat(reader.isFinal()).isTrue();
  }

  @Test
  void longName_isNotTakenForAShortOne() {
    UsageReader reader = UsageReader.of(JSON);
    feed(reader, "{\"usage" + "x".repeat(200) + "\":{\"total_tokens\":5}}");
    assertThat(reader.tokens()).isZero();
  }

  private static void feed(UsageReader reader, String text) {
    reader.feed(text.getBytes(StandardCharsets.UTF_8));
  }
}
