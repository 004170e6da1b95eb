package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The forward proxy of a whole broker: TLS on its own leg, real tokens, the authority from its
 * file, and stops. Invariants: G15, G17, P2.
 */
class ForwardProxyTest {

  @TempDir private Path folder;
  private final TestAuthority authority = TestAuthority.create("gateways");
  private StopStage stage;
  private int port;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
    TestCertificate own = authority.server("localhost");
    Files.writeString(folder.resolve("gateway.key"), own.keyPem());
    Files.writeString(folder.resolve("gateway.crt"), own.certificatePem());
    port = RunningBroker.freePort();
  }

  @AfterEach
  void stop() {
    stage.close();
  }

  private Map<String, String> settings() {
    return stage.settings(
        "valetkey.gateway.ssl-bundle", "agents",
        "spring.ssl.bundle.pem.agents.keystore.certificate",
            folder.resolve("gateway.crt").toString(),
        "spring.ssl.bundle.pem.agents.keystore.private-key",
            folder.resolve("gateway.key").toString(),
        "valetkey.gateway.forward.port", String.valueOf(port),
        "valetkey.gateway.forward.address", "127.0.0.1",
        "valetkey.gateway.forward.ca-file", folder.resolve("ca.pem").toString(),
        "valetkey.gateway.forward.ca-domains", "localhost");
  }

  private String origin() {
    return "localhost:" + stage.upstreamPort();
  }

  private Socket toProxy() throws IOException {
    var socket = (SSLSocket) authority.trust().getSocketFactory().createSocket("localhost", port);
    socket.startHandshake();
    return socket;
  }

  private SSLSocket tunnel(String token) throws IOException {
    return ConnectedTunnel.open(toProxy(), stage.upstreamPort(), token, folder.resolve("ca.pem"));
  }

  private String get(String path, String more) {
    return "GET " + path + " HTTP/1.1\r\nHost: " + origin() + "\r\n" + more + "\r\n";
  }

  @Test
  void requests_byBothWays_areCarriedOut_andAStopEndsTunnels() throws Exception {
    try (RunningBroker broker = RunningBroker.start(settings())) {
      stage.writePolicy(broker, "bad");
      String token = stage.token(broker, "bad");
      try (Socket plain = toProxy();
          SSLSocket stream = tunnel(token);
          SSLSocket idle = tunnel(token)) {
        plain
            .getOutputStream()
            .write(
                get(
                        "https://" + origin() + "/ok",
                        "Connection: close\r\nProxy-Authorization: Bearer " + token + "\r\n")
                    .getBytes(StandardCharsets.ISO_8859_1));
        assertThat(new String(plain.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
            .startsWith("HTTP/1.1 200");
        stream.getOutputStream().write(get("/stream", "").getBytes(StandardCharsets.ISO_8859_1));
        assertThat(new String(stream.getInputStream().readNBytes(12), StandardCharsets.ISO_8859_1))
            .isEqualTo("HTTP/1.1 200");

        StopStage.awaitAcknowledged(broker, StopStage.order(broker, "{\"agent\":\"bad\"}"));

        assertThatThrownBy(() -> stream.getInputStream().readAllBytes())
            .isInstanceOf(IOException.class);
        assertThatThrownBy(() -> idle.getInputStream().readAllBytes())
            .isInstanceOf(IOException.class);
        assertThatThrownBy(() -> tunnel(token)).hasMessageContaining("407");
      }
      try (var connection = broker.database();
          var rows =
              connection
                  .createStatement()
                  .executeQuery(
                      "SELECT string_agg(DISTINCT details ->> 'way', ',' ORDER BY details ->> 'way')"
                          + " FROM audit_record WHERE action = 'gateway.request'")) {
        assertThat(rows.next()).isTrue();
        assertThat(rows.getString(1)).isEqualTo("absolute-form,intercept");
      }
    }
  }

  @Test
  void settings_thatContradictEachOther_stopTheStart() {
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.gateway.forward.port", "1",
                    "valetkey.gateway.forward.tls", "true",
                    "valetkey.gateway.forward.certificate-suffices", "true",
                    "valetkey.gateway.forward.ca-bundle", "x",
                    "valetkey.gateway.forward.ca-domains", "Example.com")))
        .hasMessageContaining("valetkey.gateway.forward.tls: needs")
        .hasMessageContaining("valetkey.gateway.forward.certificate-suffices: needs")
        .hasMessageContaining("valetkey.gateway.forward.ca-domains: is for an authority")
        .hasMessageContaining("valetkey.gateway.forward.ca-domains: must be domain names");
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.gateway.forward.tls", "false",
                    "valetkey.gateway.forward.ca-file", "/tmp/x")))
        .hasMessageContaining("valetkey.gateway.forward.tls: needs valetkey.gateway.forward.port")
        .hasMessageContaining("valetkey.gateway.forward.ca-*: needs");
    assertThatThrownBy(() ->
            RunningBroker.start(
                stage.settings(
                    "valetkey.gateway.forward.port",
                    String.valueOf(port),
                    "valetkey.gateway.forward.ca-bundle",
                    "none")))
        .hasStackTraceContaining("there is no spring.ssl.bundle.pem.none");
  }
}
