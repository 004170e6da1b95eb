package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * A destination that is a tunnel, at a whole broker: from the admin API to the audit trail.
 * Invariants: G22, G23, G25, P2.
 */
class TunnelProofTest {

  private static final String SPEC = "{\"kind\":\"tunnel\",\"origin\":\"https://localhost:%d\"}";

  @TempDir private Path folder;
  private StopStage stage;
  private int port;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
    stage.serve(
        "/large",
        exchange -> {
          exchange.sendResponseHeaders(200, 1 << 20);
          exchange.getResponseBody().write(new byte[1 << 20]);
          exchange.close();
        });
    port = RunningBroker.freePort();
  }

  @AfterEach
  void stop() {
    stage.close();
  }

  private RunningBroker broker(String limits) throws Exception {
    RunningBroker broker =
        RunningBroker.start(
            stage.settings(
                "valetkey.gateway.forward.port",
                String.valueOf(port),
                "valetkey.gateway.forward.tls",
                "false",
                "valetkey.gateway.forward.address",
                "127.0.0.1"));
    var policies = new Policies(broker).issuer(stage.issuer).agent("bot", "ci", "bot", "");
    put(broker, "/destinations/vcs", SPEC.formatted(stage.upstreamPort()));
    put(broker, "/destinations/vcs/scopes/all", "{\"tunnel\":true}");
    put(
        broker,
        "/grants/bot-vcs",
        "{\"agent\":\"bot\",\"destination\":\"vcs\",\"scopes\":[\"all\"]" + limits + "}");
    policies.await(broker);
    return broker;
  }

  private static void put(RunningBroker broker, String path, String spec) throws Exception {
    StopStage.admin(broker, "PUT", path, spec);
  }

  private String origin() {
    return "localhost:" + stage.upstreamPort();
  }

  /** TLS of the caller's own, with the destination itself. */
  private SSLSocket tunnel(String token) throws IOException {
    Socket outer = new Socket("127.0.0.1", port);
    outer.setSoTimeout(30_000);
    return ConnectedTunnel.open(outer, stage.upstreamPort(), token, stage.authority());
  }

  /** The first request of a grant may go ahead of what the database says; the next ones may not. */
  private SSLSocket tunnelOnceTheLimitIsKnown(String token) {
    return await()
        .atMost(Duration.ofSeconds(20))
        .until(
            () -> {
              try {
                return tunnel(token);
              } catch (IOException e) {
                assertThat(e).hasMessageContaining("503");
                return null;
              }
            },
            Objects::nonNull);
  }

  private String ask(SSLSocket tunnel, String path) throws IOException {
    tunnel
        .getOutputStream()
        .write(
            ("GET " + path + " HTTP/1.1\r\nHost: " + origin() + "\r\n\r\n")
                .getBytes(StandardCharsets.ISO_8859_1));
    return new String(tunnel.getInputStream().readNBytes(12), StandardCharsets.ISO_8859_1);
  }

  @Test
  void tunnel_isGrantedUsedExplainedAndStopped() throws Exception {
    try (RunningBroker broker = broker("")) {
      String token = stage.token(broker, "bot", "vcs");
      assertThat(base(broker, token)).isEqualTo(404);
      try (SSLSocket asked = tunnel(token)) {
        assertThat(ask(asked, "/ok")).isEqualTo("HTTP/1.1 200");
      }
      await()
          .untilAsserted(() ->
              assertThat(records(broker))
                  .contains("gateway.request granted tunnel all", "gateway.end granted tunnel"));
      JsonNode reach = StopStage.admin(broker, "GET", "/agents/bot/reach", null);
      assertThat(reach.at("/destinations/0/tunnel/0/origin").asString())
          .isEqualTo("https://" + origin());
      assertThat(explained(broker, "")).isEqualTo("granted");
      assertThat(explained(broker, ",\"method\":\"GET\",\"path\":\"/ok\"")).isEqualTo("refused");
      assertThat(rehearsed(broker)).contains("CONNECT", "grant_expired");

      try (SSLSocket stream = tunnel(token)) {
        assertThat(ask(stream, "/stream")).isEqualTo("HTTP/1.1 200");
        StopStage.awaitAcknowledged(broker, StopStage.order(broker, "{\"agent\":\"bot\"}"));
        assertThatThrownBy(() -> stream.getInputStream().readAllBytes())
            .isInstanceOf(IOException.class);
        assertThatThrownBy(() -> tunnel(token)).hasMessageContaining("407");
      }
      await()
          .untilAsserted(
              () -> assertThat(records(broker)).contains("gateway.request refused tunnel stopped"));
    }
  }

  /** A withdrawn grant ends it as well. */
  @Test
  void tunnel_endsWithItsGrant() throws Exception {
    try (RunningBroker broker = broker("");
        SSLSocket stream = tunnel(stage.token(broker, "bot", "vcs"))) {
      assertThat(ask(stream, "/stream")).isEqualTo("HTTP/1.1 200");
      var answer =
          HttpClient.newHttpClient()
              .send(
                  HttpRequest.newBuilder(broker.api("/admin/v1/grants/bot-vcs"))
                      .header("Authorization", "Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
                      .header("If-Match", "*")
                      .DELETE()
                      .build(),
                  BodyHandlers.ofString());
      assertThat(answer.statusCode()).isEqualTo(204);
      assertThatThrownBy(() -> stream.getInputStream().readAllBytes())
          .isInstanceOf(IOException.class);
    }
  }

  @Test
  void limits_countTunnelsAndTheirBytes() throws Exception {
    try (RunningBroker broker =
        broker(",\"limits\":{\"concurrentStreams\":1,\"bytesPerDay\":\"200KiB\"}")) {
      String token = stage.token(broker, "bot", "vcs");
      try (SSLSocket one = tunnel(token)) {
        assertThat(ask(one, "/ok")).isEqualTo("HTTP/1.1 200");
        assertThatThrownBy(() -> tunnel(token)).hasMessageContaining("429");
      }
      SSLSocket large =
          await()
              .atMost(Duration.ofSeconds(30))
              .ignoreException(IOException.class)
              .until(() -> tunnel(token), socket -> true);
      try (large) {
        ask(large, "/large");
        large.getInputStream().readNBytes(300 * 1024);
      }
      await()
          .atMost(Duration.ofSeconds(30))
          .untilAsserted(() ->
              assertThatThrownBy(() -> tunnel(token)).hasMessageContaining("budget_exceeded"));
    }
  }

  @Test
  void limits_countEachTunnelAsOneRequest_andKnowNoModelTokens() throws Exception {
    try (RunningBroker broker = broker(",\"limits\":{\"requestsPerMinute\":2}")) {
      String token = stage.token(broker, "bot", "vcs");
      try (SSLSocket one = tunnel(token);
          SSLSocket two = tunnelOnceTheLimitIsKnown(token)) {
        for (int i = 0; i < 5; i++) {
          two.getOutputStream().write("HEAD /ok HTTP/1.1\r\nHost: a\r\n\r\n".getBytes());
        }
        assertThat(ask(one, "/ok")).isEqualTo("HTTP/1.1 200");
        assertThatThrownBy(() -> tunnel(token)).hasMessageContaining("429");
      }
      assertThat(
              StopStage.adminAnswer(
                      broker,
                      "PUT",
                      "/grants/second",
                      "{\"agent\":\"bot\",\"destination\":\"vcs\",\"scopes\":[\"all\"],"
                          + "\"limits\":{\"modelTokensPerDay\":5}}")
                  .body())
          .contains("is not read");
    }
  }

  private int base(RunningBroker broker, String token) throws Exception {
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create(broker.gatewayUrl() + "/d/vcs/ok"))
                .header("Authorization", "Bearer " + token)
                .build(),
            BodyHandlers.discarding())
        .statusCode();
  }

  private static String explained(RunningBroker broker, String more) throws Exception {
    return StopStage.admin(
            broker,
            "POST",
            "/decisions/explain",
            "{\"agent\":\"bot\",\"destination\":\"vcs\"" + more + "}")
        .get("outcome")
        .asString();
  }

  /** What a dry run says that would lose this grant. */
  private String rehearsed(RunningBroker broker) throws Exception {
    String documents =
        """
        {"managedBy":"team","documents":[
          {"kind":"destination","name":"vcs","spec":%s},
          {"kind":"scope","name":"vcs/all","spec":{"tunnel":true}},
          {"kind":"grant","name":"bot-vcs","spec":{"agent":"bot","destination":"vcs","scopes":["all"],
            "expiresAt":"2020-01-01T00:00:00Z"}}]}\
        """
            .formatted(SPEC.formatted(stage.upstreamPort()));
    return StopStage.adminAnswer(broker, "POST", "/apply?dryRun=true&adopt=true", documents).body();
  }

  private static List<String> records(RunningBroker broker) throws Exception {
    try (var connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery(
                    "SELECT trim(concat_ws(' ', action, outcome, details ->> 'way', reason,"
                        + " details ->> 'rule')) FROM audit_record WHERE action LIKE 'gateway.%'")) {
      List<String> found = new java.util.ArrayList<>();
      while (rows.next()) {
        found.add(rows.getString(1));
      }
      return found;
    }
  }
}
