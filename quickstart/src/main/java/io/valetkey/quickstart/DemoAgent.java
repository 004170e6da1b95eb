package io.valetkey.quickstart;

import io.valetkey.client.AccessToken;
import io.valetkey.client.Destination;
import io.valetkey.client.Valetkey;
import io.valetkey.client.ValetkeyException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * An agent as its developer writes it, in a process of its own: it has the broker's client library,
 * three addresses in its environment, and no key. It does one thing for each line that it reads,
 * answers with lines of JSON, and ends with its input.
 */
final class DemoAgent {

  private static final JsonMapper JSON = new JsonMapper();
  private static final Pattern KEY_LIKE =
      Pattern.compile("(?i).*(key|secret|password|credential|token)(?!.*(_FILE|_URL)$).*");
  private static final Pattern KEY_VALUE = Pattern.compile("(sk-|eyJ).*");

  private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private final Destination openai;

  private DemoAgent() {
    this.openai = Valetkey.connect().destination("openai").withScopes("chat");
  }

  /** Reads what to do from standard input. */
  public static void main(String[] args) throws IOException {
    var agent = new DemoAgent();
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String task = in.readLine(); task != null; task = in.readLine()) {
      agent.say(agent.answer(task).put("done", true));
    }
  }

  private ObjectNode answer(String task) {
    long start = System.nanoTime();
    ObjectNode answer;
    try {
      answer =
          switch (task) {
            case "environment" -> environment();
            case "token" -> token();
            case "chat" -> once(question("hello", false));
            case "models" -> once(HttpRequest.newBuilder(openai.url("/v1/models")).build());
            case "stream" -> stream();
            default -> throw new IllegalArgumentException("no such task: " + task);
          };
    } catch (ValetkeyException e) {
      answer = JSON.createObjectNode();
      answer.put("refused", e.error().orElse(e.getClass().getSimpleName()));
      answer.put("decision", e.decisionId().orElse(""));
    } catch (IOException e) {
      answer = JSON.createObjectNode().put("failure", String.valueOf(e));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      answer = JSON.createObjectNode().put("failure", "interrupted");
    }
    return answer.put("millis", (System.nanoTime() - start) / 1_000_000);
  }

  /** Looks for anything like a key in its own surroundings, as malicious code in it would. */
  private static ObjectNode environment() {
    ObjectNode answer = JSON.createObjectNode();
    var variables = answer.putArray("variables");
    System.getenv().keySet().stream().sorted().forEach(variables::add);
    var keys = answer.putArray("keys");
    Stream.concat(System.getenv().entrySet().stream(), System.getProperties().entrySet().stream())
        .filter(entry ->
            KEY_LIKE.matcher(String.valueOf(entry.getKey())).matches()
                || KEY_VALUE.matcher(String.valueOf(entry.getValue())).matches())
        .forEach(entry -> keys.add(String.valueOf(entry.getKey())));
    return answer;
  }

  /** Gets a token and tells its claims, never the token itself. */
  private ObjectNode token() {
    AccessToken token = openai.token();
    byte[] claims = Base64.getUrlDecoder().decode(token.value().split("\\.", -1)[1]);
    ObjectNode answer = JSON.createObjectNode();
    answer.set("claims", JSON.readTree(claims));
    answer.put("seconds", Duration.between(Instant.now(), token.expiresAt()).toSeconds());
    return answer.put("scope", String.join(" ", token.scopes()));
  }

  private HttpRequest question(String text, boolean stream) {
    ObjectNode body = JSON.createObjectNode().put("model", "demo-model").put("stream", stream);
    body.putArray("messages").addObject().put("role", "user").put("content", text);
    return HttpRequest.newBuilder(openai.url("/v1/chat/completions"))
        .timeout(Duration.ofSeconds(15))
        .header("Content-Type", "application/json")
        .POST(BodyPublishers.ofString(JSON.writeValueAsString(body)))
        .build();
  }

  private ObjectNode once(HttpRequest request) throws IOException, InterruptedException {
    HttpResponse<String> answer = openai.httpClient().send(request, BodyHandlers.ofString());
    ObjectNode result = JSON.createObjectNode().put("status", answer.statusCode());
    answer.headers().firstValue("Valetkey-Error").ifPresent(code -> result.put("code", code));
    JsonNode body = JSON.readTree(answer.body());
    result.put("decision", body.path("decision_id").asString(""));
    return result.put("content", body.at("/choices/0/message/content").asString(""));
  }

  /** Tells each event at the moment at which it arrives. */
  private ObjectNode stream() throws IOException, InterruptedException {
    HttpResponse<Stream<String>> answer =
        openai.httpClient().send(question("a story", true), BodyHandlers.ofLines());
    ObjectNode result = JSON.createObjectNode().put("status", answer.statusCode());
    boolean complete = false;
    try (Stream<String> lines = answer.body()) {
      for (String line : (Iterable<String>) lines::iterator) {
        if (line.startsWith("data: ")) {
          complete |= line.equals("data: [DONE]");
          say(JSON.createObjectNode().put("event", line.substring(6)).put("at", now()));
        }
      }
    } catch (UncheckedIOException cut) {
      result.put("cut", String.valueOf(cut.getCause()));
    }
    return result.put("complete", complete).put("ended", now());
  }

  private static long now() {
    return System.currentTimeMillis();
  }

  private void say(JsonNode line) {
    out.println(JSON.writeValueAsString(line));
  }
}
