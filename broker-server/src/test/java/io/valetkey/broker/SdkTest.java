package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.models.messages.MessageCreateParams;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import io.valetkey.client.Destination;
import io.valetkey.client.Valetkey;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.Python;
import io.valetkey.realparts.RealVault;
import io.valetkey.realparts.TestAuthority;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Unmodified SDKs work by base URL and key alone, against a credential in a real Vault. The program
 * holds a Valetkey token where its key used to be; the upstream sees the real key.
 */
@NeedsVault
class SdkTest {

  private static final String OPENAI_KEY = "sk-real-openai-0123456789";
  private static final String ANTHROPIC_KEY = "sk-ant-real-0123456789";

  private static final String SIGNED =
      """
      {"kind":"http","origin":"%s","credential":{"source":"vault-kv","mount":"agents","path":"signed"},
       "signing":{"type":"hmac-sha256","message":"{method}{path}{body-sha256:hex}","headers":[
         {"header":"Authorization","value":"HMAC {field:key_id}:{signature:hex}"}]}}\
      """;
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  @TempDir private static Path folder;
  private static RealVault vault;
  private static ProviderUpstream upstream;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    TestAuthority authority = TestAuthority.create("providers");
    upstream = new ProviderUpstream(authority);
    vault = RealVault.start();
    vault.enableKv("agents");
    vault.put("agents", "openai", Map.of("api_key", OPENAI_KEY));
    vault.put("agents", "anthropic", Map.of("api_key", ANTHROPIC_KEY));
    vault.put("agents", "signed", Map.of("signing_key", "canary-key", "key_id", "key-7"));
    vault.policy("gateway", "path \"agents/data/*\" { capabilities = [\"read\"] }");
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.vault.uri", vault.uri().toString(),
                "valetkey.vault.token", vault.createToken("gateway", Duration.ofMinutes(10)),
                "valetkey.credential.ttl", "1s",
                "valetkey.gateway.private-origins", "127.0.0.0/8,::1/128",
                "valetkey.gateway.trusted-certificates", authority.writePem(folder).toString()));
    String destination =
        "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":{\"source\":\"vault-kv\","
            + "\"mount\":\"agents\",\"path\":\"%s\",\"field\":\"api_key\"},\"slot\":%s}";
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot-subject", "")
        .destination(
            "openai",
            destination.formatted(upstream.origin(), "openai", "{\"header\":\"Authorization\"}"))
        .destination(
            "anthropic",
            destination.formatted(
                upstream.origin(),
                "anthropic",
                "{\"header\":\"x-api-key\",\"format\":\"{credential}\"}"))
        .destination("signed", SIGNED.formatted(upstream.origin()))
        .scope("signed", "chat", allow("/v1/chat/completions"))
        .grant("bot-signed", "bot", "signed", List.of("chat"))
        .scope("openai", "chat", allow("/v1/chat/completions"))
        .scope("anthropic", "messages", allow("/v1/messages"))
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .grant("bot-anthropic", "bot", "anthropic", List.of("messages"))
        .await(broker);
  }

  private static String allow(String path) {
    return "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"" + path + "\"]}]}";
  }

  @AfterAll
  static void stop() {
    broker.close();
    vault.close();
    upstream.close();
  }

  private static Destination destination(String name) {
    return Valetkey.builder()
        .brokerUrl(broker.url())
        .gatewayUrl(broker.gatewayUrl())
        .identity(() -> ISSUER.token("bot-subject", broker.url()))
        .build()
        .destination(name);
  }

  @Test
  void openAiJava_worksByBaseUrlAndKey_plainAndStreaming() {
    Destination openai = destination("openai");
    var client =
        OpenAIOkHttpClient.builder()
            .baseUrl(openai.url("/v1").toString())
            .apiKey(openai.token().value())
            .build();
    var params = ChatCompletionCreateParams.builder().model("m").addUserMessage("hi").build();

    var answer = client.chat().completions().create(params);

    assertThat(answer.choices().getFirst().message().content()).contains("hello");
    assertThat(upstream.last().get("Authorization")).containsExactly("Bearer " + OPENAI_KEY);
    try (var stream = client.chat().completions().createStreaming(params)) {
      assertThat(
              stream.stream()
                  .map(chunk -> chunk.choices().getFirst().delta().content().orElse(""))
                  .collect(Collectors.joining()))
          .isEqualTo("hello");
    }
    client.close();
  }

  @Test
  void anthropicJava_worksByBaseUrlAndKey_plainAndStreaming() {
    Destination anthropic = destination("anthropic");
    var client =
        AnthropicOkHttpClient.builder()
            .baseUrl(anthropic.url("").toString())
            .apiKey(anthropic.token().value())
            .build();
    var params =
        MessageCreateParams.builder().model("m").maxTokens(10).addUserMessage("hi").build();

    var answer = client.messages().create(params);

    assertThat(answer.content().getFirst().asText().text()).isEqualTo("hello");
    assertThat(upstream.last().get("X-api-key")).containsExactly(ANTHROPIC_KEY);
    assertThat(upstream.last()).doesNotContainKey("Authorization");
    try (var stream = client.messages().createStreaming(params)) {
      assertThat(
              stream.stream()
                  .flatMap(event -> event.contentBlockDelta().stream())
                  .map(delta -> delta.delta().asText().text())
                  .collect(Collectors.joining()))
          .isEqualTo("hello");
    }
    client.close();
  }

  @Test
  void rotatedSecret_isUsedWithinItsTtl_withoutARestart() throws Exception {
    Destination openai = destination("openai");
    var client =
        OpenAIOkHttpClient.builder()
            .baseUrl(openai.url("/v1").toString())
            .apiKey(openai.token().value())
            .build();
    var params = ChatCompletionCreateParams.builder().model("m").addUserMessage("hi").build();
    client.chat().completions().create(params);
    vault.put("agents", "openai", Map.of("api_key", OPENAI_KEY + "-rotated"));
    try {
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(4);
      String used = "";
      while (!used.endsWith("-rotated") && System.nanoTime() < end) {
        Thread.sleep(200);
        client.chat().completions().create(params);
        used = upstream.last().get("Authorization").getFirst();
      }
      assertThat(used).isEqualTo("Bearer " + OPENAI_KEY + "-rotated");
    } finally {
      vault.put("agents", "openai", Map.of("api_key", OPENAI_KEY));
      Thread.sleep(2_500);
      client.close();
    }
  }

  @Test
  void openAiPython_worksByEnvironmentAlone() throws Exception {
    Path python = Python.with("python-sdks", "openai", "requests");
    Destination openai = destination("openai");
    Path script =
        Files.writeString(
            folder.resolve("agent.py"),
            """
            import os, requests
            from openai import OpenAI
            client = OpenAI()
            said = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
            parts = client.chat.completions.create(model="m", stream=True, messages=[{"role": "user", "content": "hi"}])
            streamed = "".join(p.choices[0].delta.content or "" for p in parts)
            plain = requests.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json={"model": "m"},
                                  headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]})
            print(said.choices[0].message.content, streamed, plain.json()["choices"][0]["message"]["content"])
            """);
    ProcessBuilder builder = new ProcessBuilder(python.toString(), script.toString());
    builder.environment().put("OPENAI_BASE_URL", openai.url("/v1").toString());
    builder.environment().put("OPENAI_API_KEY", openai.token().value());
    Process process = builder.redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes());

    assertThat(process.waitFor()).as(output).isZero();
    assertThat(output.strip()).isEqualTo("hello hello hello");
    assertThat(upstream.last().get("Authorization")).containsExactly("Bearer " + OPENAI_KEY);
  }

  @Test
  void openAiJava_whereTheProviderWantsItsRequestsSigned_works() throws Exception {
    Destination signed = destination("signed");
    var client =
        OpenAIOkHttpClient.builder()
            .baseUrl(signed.url("/v1").toString())
            .apiKey(signed.token().value())
            .build();
    var params = ChatCompletionCreateParams.builder().model("m").addUserMessage("hi").build();

    client.chat().completions().create(params);
    client.close();

    Map<String, List<String>> last = upstream.last();
    String body = HexFormat.of().formatHex(sha256(last.get(ProviderUpstream.BODY).getFirst()));
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec("canary-key".getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
    byte[] signature =
        mac.doFinal(("POST/v1/chat/completions" + body).getBytes(StandardCharsets.UTF_8));
    assertThat(last.get("Authorization"))
        .containsExactly("HMAC key-7:" + HexFormat.of().formatHex(signature));
  }

  private static byte[] sha256(String text) throws Exception {
    return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
  }
}
