package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TinyProxy;
import io.valetkey.realparts.NeedsPrograms;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A whole broker whose destinations are behind the network's own proxy. */
class BehindProxyTest {

  @TempDir private Path folder;

  @Test
  @NeedsPrograms("tinyproxy")
  void request_goesThroughTheProxyOfTheSettings() throws Exception {
    try (var stage = new StopStage(folder);
        var proxy = new TinyProxy(folder)) {
      Path credentials =
          Files.writeString(
              folder.resolve("proxy"), TinyProxy.USER + ":" + TinyProxy.PASSWORD + "\n");
      try (RunningBroker broker =
          RunningBroker.start(
              stage.settings(
                  "valetkey.gateway.upstream-proxy.url",
                  "http://127.0.0.1:" + proxy.port(),
                  "valetkey.gateway.upstream-proxy.credentials-file",
                  credentials.toString(),
                  "valetkey.gateway.upstream-proxy.except",
                  "example.com"))) {
        stage.writePolicy(broker, "bot");
        HttpResponse<String> answer =
            HttpClient.newHttpClient()
                .send(
                    HttpRequest.newBuilder(URI.create(broker.gatewayUrl() + "/d/openai/ok"))
                        .header("Authorization", "Bearer " + stage.token(broker, "bot"))
                        .build(),
                    HttpResponse.BodyHandlers.ofString());
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(proxy.log()).contains("CONNECT localhost:" + stage.upstreamPort());
      }
    }
  }

  @Test
  void settings_thatAreWrong_stopTheStart() throws Exception {
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.gateway.upstream-proxy.credentials-file", "/no/such/file",
                    "valetkey.gateway.upstream-proxy.except", "Example.com")))
        .hasMessageContaining("upstream-proxy.credentials-file: is not a file")
        .hasMessageContaining("upstream-proxy.except: must be names in lower case")
        .hasMessageContaining("upstream-proxy.*: needs valetkey.gateway.upstream-proxy.url");
    for (String url :
        new String[] {
          "https://proxy:3128", "http://proxy", "http://u@proxy:1", "http://proxy:1/"
        }) {
      assertThatThrownBy(
              () -> RunningBroker.start(Map.of("valetkey.gateway.upstream-proxy.url", url)))
          .as(url)
          .hasMessageContaining("upstream-proxy.url: must be http://host:port");
    }
    Path wrong = Files.writeString(folder.resolve("wrong"), "canary-without-a-colon");
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.gateway.upstream-proxy.url",
                    "http://proxy:3128",
                    "valetkey.gateway.upstream-proxy.credentials-file",
                    wrong.toString())))
        .hasStackTraceContaining("must hold user:password in one line")
        .satisfies(e -> assertThat(e).hasStackTraceContaining("credentials-file"))
        .satisfies(
            e -> assertThat(java.util.Objects.toString(e.getMessage())).doesNotContain("canary"));
  }
}
