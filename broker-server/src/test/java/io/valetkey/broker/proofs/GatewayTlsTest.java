package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Map;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The gateway with a certificate of its own. Invariants: G7, G10, S9. */
class GatewayTlsTest {

  @TempDir private Path folder;
  private final TestAuthority authority = TestAuthority.create("gateways");
  private StopStage stage;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
    write(authority.server("localhost"));
  }

  @AfterEach
  void stop() {
    stage.close();
  }

  private void write(TestCertificate certificate) throws IOException {
    Files.writeString(folder.resolve("gateway.key"), certificate.keyPem());
    Files.writeString(folder.resolve("gateway.crt"), certificate.certificatePem());
  }

  private Map<String, String> settings() {
    return stage.settings(
        "valetkey.gateway.ssl-bundle", "agents",
        "spring.ssl.bundle.pem.agents.reload-on-update", "true",
        "spring.ssl.bundle.pem.agents.keystore.certificate",
            folder.resolve("gateway.crt").toString(),
        "spring.ssl.bundle.pem.agents.keystore.private-key",
            folder.resolve("gateway.key").toString(),
        "spring.ssl.bundle.watch.file.quiet-period", "100ms");
  }

  private SSLSocket connect(RunningBroker broker, String... versions) throws IOException {
    var socket =
        (SSLSocket)
            authority
                .trust()
                .getSocketFactory()
                .createSocket("localhost", URI.create(broker.gatewayUrl()).getPort());
    if (versions.length > 0) {
      socket.setEnabledProtocols(versions);
    }
    socket.startHandshake();
    return socket;
  }

  private X509Certificate shown(RunningBroker broker) throws IOException {
    try (SSLSocket socket = connect(broker)) {
      return (X509Certificate) socket.getSession().getPeerCertificates()[0];
    }
  }

  @Test
  void requestOverTls_isCarriedOut_andAStopCutsItsStream() throws Exception {
    try (RunningBroker broker = RunningBroker.start(settings())) {
      stage.writePolicy(broker, "bad");
      String token = stage.token(broker, "bad");
      try (SSLSocket used = connect(broker);
          OpenStream stream = OpenStream.over(connect(broker), token)) {
        used.getOutputStream()
            .write(
                OpenStream.head("GET", "/ok", token, "Connection: close\r\n")
                    .getBytes(StandardCharsets.ISO_8859_1));
        assertThat(new String(used.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
            .startsWith("HTTP/1.1 200");

        StopStage.awaitAcknowledged(broker, StopStage.order(broker, "{\"agent\":\"bad\"}"));

        assertThat(stream.awaitEnd(5)).isTrue();
        assertThat(stream.looksComplete()).isFalse();
      }
    }
  }

  @Test
  void plainHttpAndOldVersions_areNotSpoken() throws Exception {
    try (RunningBroker broker = RunningBroker.start(settings())) {
      assertThat(connect(broker, "TLSv1.2").getSession().getProtocol()).isEqualTo("TLSv1.2");
      assertThatThrownBy(() -> connect(broker, "TLSv1.1")).isInstanceOf(IOException.class);
      try (Socket plain = new Socket("localhost", URI.create(broker.gatewayUrl()).getPort())) {
        plain.setSoTimeout(10_000);
        plain
            .getOutputStream()
            .write("GET / HTTP/1.1\r\nHost: g\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
        assertThat(new String(plain.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
            .doesNotContain("HTTP/1.1");
      }
    }
  }

  @Test
  void renewedCertificate_isShown_andABrokenOneLeavesTheOld() throws Exception {
    try (RunningBroker broker = RunningBroker.start(settings())) {
      stage.writePolicy(broker, "good");
      try (OpenStream stream = OpenStream.over(connect(broker), stage.token(broker, "good"))) {
        TestCertificate renewed = authority.server("localhost");
        write(renewed);
        await()
            .atMost(Duration.ofSeconds(30))
            .until(() -> shown(broker).equals(renewed.certificate()));

        Files.writeString(folder.resolve("gateway.key"), authority.server("localhost").keyPem());
        Thread.sleep(1000);
        assertThat(shown(broker)).isEqualTo(renewed.certificate());
        Files.writeString(folder.resolve("gateway.crt"), "no certificate");
        Thread.sleep(1000);
        assertThat(shown(broker)).isEqualTo(renewed.certificate());

        TestCertificate third = authority.server("localhost");
        write(third);
        await()
            .atMost(Duration.ofSeconds(30))
            .until(() -> shown(broker).equals(third.certificate()));
        assertThat(stream.hasEnded()).as("an open stream outlives renewals").isFalse();
      }
    }
  }

  @Test
  void certificateThatCannotBeUsed_stopsTheStart() throws Exception {
    Map<String, String> settings = settings();
    settings.put("valetkey.gateway.ssl-bundle", "other");
    assertThatThrownBy(() -> RunningBroker.start(settings))
        .hasStackTraceContaining("there is no spring.ssl.bundle.pem.other");

    Files.writeString(folder.resolve("gateway.key"), authority.server("localhost").keyPem());
    assertThatThrownBy(() -> RunningBroker.start(settings()))
        .hasStackTraceContaining("the private key is not that of the certificate");
  }
}
