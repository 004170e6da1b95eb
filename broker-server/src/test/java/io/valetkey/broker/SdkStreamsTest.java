package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.valetkey.realparts.Node;
import io.valetkey.realparts.ProcessMemory;
import io.valetkey.realparts.Python;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Unmodified SDKs stream by environment variables alone: each event reaches the program before the
 * upstream sends the next one, and nowhere in the program is the credential, although the upstream
 * says it back. Invariant: G20.
 */
@Timeout(400)
class SdkStreamsTest {

  private static final String OPENAI_KEY = "sk-canary-openai-4711-abcdefgh";
  private static final String ANTHROPIC_KEY = "sk-ant-canary-0815-abcdefgh";

  private static final String OPENAI_PYTHON =
      """
      import sys
      from openai import OpenAI
      stream = OpenAI().chat.completions.create(
          model="m", stream=True, messages=[{"role": "user", "content": "hi"}])
      for chunk in stream:
          print("EVENT", chunk.choices[0].delta.content, flush=True)
      print("DONE", flush=True)
      sys.stdin.readline()
      """;

  private static final String ANTHROPIC_PYTHON =
      """
      import sys
      from anthropic import Anthropic
      stream = Anthropic().messages.create(
          model="m", max_tokens=9, stream=True, messages=[{"role": "user", "content": "hi"}])
      for event in stream:
          print("EVENT", event.type, flush=True)
      print("DONE", flush=True)
      sys.stdin.readline()
      """;

  private static final String OPENAI_NODE =
      """
      const OpenAI = require("openai");
      (async () => {
        const stream = await new OpenAI().chat.completions.create(
            {model: "m", stream: true, messages: [{role: "user", content: "hi"}]});
        for await (const chunk of stream) console.log("EVENT", chunk.choices[0].delta.content);
        console.log("DONE");
        process.stdin.once("data", () => process.exit(0));
      })();
      """;

  private static final String ANTHROPIC_NODE =
      """
      const Anthropic = require("@anthropic-ai/sdk");
      (async () => {
        const stream = await new Anthropic().messages.create(
            {model: "m", max_tokens: 9, stream: true, messages: [{role: "user", content: "hi"}]});
        for await (const event of stream) console.log("EVENT", event.type);
        console.log("DONE");
        process.stdin.once("data", () => process.exit(0));
      })();
      """;

  private static final String FETCH_NODE =
      """
      (async () => {
        const answer = await fetch(process.env.OPENAI_BASE_URL + "/chat/completions", {
          method: "POST",
          headers: {"Authorization": "Bearer " + process.env.OPENAI_API_KEY},
          body: '{"stream":true}'});
        const text = new TextDecoder();
        for await (const piece of answer.body) {
          const said = text.decode(piece);
          if (said.includes("content")) console.log("EVENT", /"content":"([a-z]+)"/.exec(said)[1]);
        }
        console.log("DONE");
        process.stdin.once("data", () => process.exit(0));
      })();
      """;

  private static final List<String> CHAT_EVENTS = List.of("hel", "lo");
  private static final List<String> MESSAGE_EVENTS =
      List.of(
          "message_start",
          "content_block_start",
          "content_block_delta",
          "content_block_delta",
          "content_block_stop",
          "message_delta",
          "message_stop");

  /** A program, and the two variables that it is told. */
  enum Sdk {
    OPENAI_PYTHON("python", "openai", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    ANTHROPIC_PYTHON("python", "anthropic", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"),
    ANTHROPIC_PYTHON_TOKEN("python", "anthropic", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_AUTH_TOKEN"),
    OPENAI_NODE("node", "openai", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    ANTHROPIC_NODE("node", "anthropic", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"),
    FETCH_NODE("node", "openai", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY");

    private final String language;
    private final String destination;
    private final String urlVariable;
    private final String path;
    private final String keyVariable;

    Sdk(String language, String destination, String urlVariable, String path, String keyVariable) {
      this.language = language;
      this.destination = destination;
      this.urlVariable = urlVariable;
      this.path = path;
      this.keyVariable = keyVariable;
    }

    private String script() {
      return switch (this) {
        case OPENAI_PYTHON -> SdkStreamsTest.OPENAI_PYTHON;
        case ANTHROPIC_PYTHON, ANTHROPIC_PYTHON_TOKEN -> SdkStreamsTest.ANTHROPIC_PYTHON;
        case OPENAI_NODE -> SdkStreamsTest.OPENAI_NODE;
        case ANTHROPIC_NODE -> SdkStreamsTest.ANTHROPIC_NODE;
        case FETCH_NODE -> SdkStreamsTest.FETCH_NODE;
      };
    }
  }

  @TempDir private static Path shared;
  private static BrokeredWorld world;
  private static ProviderUpstream upstream;
  @TempDir private Path folder;

  @BeforeAll
  static void start() throws Exception {
    world = new BrokeredWorld(shared);
    upstream = new ProviderUpstream(world.authority);
    world.credential("openai", OPENAI_KEY);
    world.credential("anthropic", ANTHROPIC_KEY);
    String http =
        "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":{\"source\":\"file\",\"name\":\"%s\"}%s}";
    world.destination(
        "openai",
        http.formatted(upstream.origin(), "openai", ""),
        BrokeredWorld.rule("POST", "/v1/chat/completions"));
    world.destination(
        "anthropic",
        http.formatted(
            upstream.origin(),
            "anthropic",
            ",\"slot\":{\"header\":\"x-api-key\",\"format\":\"{credential}\"}"),
        BrokeredWorld.rule("POST", "/v1/messages"));
  }

  @AfterAll
  static void stop() {
    world.close();
    upstream.close();
  }

  @BeforeEach
  void linux() {
    assumeTrue(ProcessMemory.isReadable(), "SKIPPED: this system does not show memory");
  }

  @ParameterizedTest
  @EnumSource(Sdk.class)
  void sdk_getsEachEventBeforeTheNext_andHoldsNoCredential(Sdk sdk) throws Exception {
    boolean openai = sdk.destination.equals("openai");
    String key = openai ? OPENAI_KEY : ANTHROPIC_KEY;
    String token = world.token(sdk.destination);
    Map<String, String> environment = new TreeMap<>(Map.of(sdk.keyVariable, token));
    String[] command = command(sdk, environment);
    upstream.stepwise();
    try (var relay =
            new RecordingRelay(
                world.authority.server("localhost").serverContext(),
                world.authority.trust(),
                URI.create(world.gatewayUrl));
        var program =
            new WatchedProgram(
                folder,
                with(
                    environment, sdk.urlVariable, relay.url() + "/d/" + sdk.destination + sdk.path),
                command)) {
      int events = 0;
      for (String event : openai ? CHAT_EVENTS : MESSAGE_EVENTS) {
        assertThat(program.await("EVENT ")).isEqualTo(event);
        // It has this one, and no other one has been sent.
        assertThat(upstream.sent()).isEqualTo(++events);
        upstream.next();
      }
      program.await("DONE");

      assertThat(upstream.last().get(openai ? "Authorization" : "X-api-key"))
          .containsExactly(openai ? "Bearer " + key : key);
      assertThat(program.holds(token)).as("what it does hold is found").isTrue();
      assertThat(program.holds(key)).isFalse();
      assertThat(relay.seen()).contains(token, "*".repeat(key.length())).doesNotContain(key);
      program.goOn();
      assertThat(program.end()).isZero();
    }
  }

  private String[] command(Sdk sdk, Map<String, String> environment) throws Exception {
    Path script = folder.resolve(sdk.language.equals("node") ? "agent.cjs" : "agent.py");
    Files.writeString(script, sdk.script());
    if (sdk.language.equals("python")) {
      Path python = Python.with("python-sdks", "openai", "anthropic");
      environment.put("SSL_CERT_FILE", world.authorityPem.toString());
      return new String[] {python.toString(), script.toString()};
    }
    Path modules = Node.with("node-sdks", "openai", "@anthropic-ai/sdk");
    environment.put("NODE_PATH", modules.toString());
    environment.put("NODE_EXTRA_CA_CERTS", world.authorityPem.toString());
    return new String[] {"node", script.toString()};
  }

  private static Map<String, String> with(Map<String, String> all, String name, String value) {
    all.put(name, value);
    return all;
  }
}
