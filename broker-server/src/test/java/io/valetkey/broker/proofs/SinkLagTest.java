package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;

/** How far a sink is behind shows while its receiver is away. Invariant: E5. */
class SinkLagTest {

  private static final TestIssuer ISSUER = new TestIssuer("ci");

  @Test
  void lag_growsWhileTheReceiverIsAway_andGoesWhenItIsBack() throws Exception {
    int port = RunningBroker.freePort();
    Map<String, String> settings =
        Map.of("valetkey.audit.sinks.webhook.url", "http://127.0.0.1:" + port + "/audit");
    try (RunningBroker broker = RunningBroker.start(settings)) {
      Tokens.writeOneAgent(broker, ISSUER);
      Map<String, String> form = Tokens.exchange(ISSUER.token("bot-subject", broker.url()));
      assertThat(Tokens.ask(broker.url(), form).status()).isEqualTo(200);
      await(() -> metric(broker, "records") > 0 && metric(broker, "seconds") > 1);

      HttpServer receiver =
          HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
      receiver.createContext(
          "/audit",
          exchange -> {
            exchange.getRequestBody().readAllBytes();
            exchange.sendResponseHeaders(204, -1);
            exchange.close();
          });
      receiver.start();
      try {
        await(() -> metric(broker, "records") == 0 && metric(broker, "seconds") == 0);
      } finally {
        receiver.stop(0);
      }
    }
  }

  private static double metric(RunningBroker broker, String unit) throws Exception {
    String name = "valetkey_audit_sink_lag_" + unit + "{sink=\"webhook\"}";
    return Tokens.raw(URI.create(broker.managementUrl() + "/actuator/prometheus"))
        .lines()
        .filter(line -> line.startsWith(name))
        .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
        .findAny()
        .orElseThrow();
  }

  private static void await(Callable<Boolean> condition) throws Exception {
    for (int i = 0; i < 600 && !condition.call(); i++) {
      Thread.sleep(100);
    }
    assertThat(condition.call()).isTrue();
  }
}
