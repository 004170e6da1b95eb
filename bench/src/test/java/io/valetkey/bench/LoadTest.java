package io.valetkey.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.bench.PolicySeed.Kind;
import io.valetkey.bench.Scene.Proxy;
import io.valetkey.realparts.NeedsPrograms;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import org.HdrHistogram.Histogram;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * That the load really is load: tokens of a running broker, and answers that are really checked.
 */
class LoadTest {

  private static final Duration EVENT_EACH = Duration.ofSeconds(10);

  @TempDir private Path folder;

  @Test
  void load_issuesTokensAtARunningBroker() throws Exception {
    assumeTrue(Servers.brokerIsBuilt(), "broker-server is not packaged yet; mvn verify does that");
    var issuer = new IdentityIssuer(JWSAlgorithm.ES256);
    int port = ServerProcess.freePort();
    int gatewayPort = ServerProcess.freePort();
    String resource = "http://127.0.0.1:" + gatewayPort + "/d/dest-0";
    try (BenchPostgres postgres = BenchPostgres.start()) {
      String database = postgres.createMigrated("broker");
      new PolicySeed(postgres, database).write(issuer, 2, 1, "https://upstream.test");
      try (var broker = Servers.broker(folder, postgres, database, port, gatewayPort, Map.of());
          var loop = new ClosedLoop(2)) {
        CpuTime before = CpuTime.of(List.of(broker.pid()));
        List<String> tokens = List.of(issuer.token("subject-0", "http://127.0.0.1:" + port));
        var w1 = TokenRequests.clientCredentials(tokens, 1, resource);
        var w2 = TokenRequests.exchange(tokens, resource);
        var refused = TokenRequests.exchange(List.of("no.token.atall"), resource);

        var first = loop.run(port, "/oauth2/token", w1, Duration.ofMillis(300));
        var second = loop.run(port, "/oauth2/token", w2, Duration.ofMillis(300));
        var wrong = loop.run(port, "/oauth2/token", refused, Duration.ofMillis(100));

        assertThat(w1.firstWrong() + w2.firstWrong()).isEmpty();
        assertThat(first.operations()).isPositive();
        assertThat(second.operations()).isPositive();
        assertThat(wrong.operations()).isZero();
        assertThat(wrong.wrong()).isPositive();
        assertThat(CpuTime.of(List.of(broker.pid())).secondsSince(before)).isPositive();
      }
    }
  }

  @Test
  @NeedsPrograms({"nginx", "haproxy"})
  void load_ofStreamsAndRequests_passesTheGatewayAndItsPeers() throws Exception {
    assumeTrue(Servers.brokerIsBuilt(), "broker-server is not packaged yet; mvn verify does that");
    var certificates = Certificates.create(folder);
    String credential = "sk-real";
    try (BenchPostgres postgres = BenchPostgres.start();
        var upstream =
            new StreamUpstream(certificates.certificate(), certificates.key(), EVENT_EACH);
        var scene =
            Scene.start(
                folder,
                postgres,
                new Scene.Setting(
                    certificates, CallerLeg.TLS, false, true, upstream.port(), credential),
                EnumSet.of(Peer.NGINX, Peer.HAPROXY),
                PolicySeed.Shape.of(Kind.RULES, 300),
                Map.of());
        var loop = new ClosedLoop(2, CallerLeg.TLS, certificates)) {
      String token = scene.tokens().token("subject-0");
      for (Proxy proxy : scene.proxies()) {
        var get = Get.of(StreamUpstream.SHORT, token);
        var requests =
            loop.run(proxy.port(), proxy.prefix() + "/v1/models", get, Duration.ofMillis(300));
        var events =
            EventLoad.measure(proxy, CallerLeg.TLS, certificates, token, 4, Duration.ofMillis(300));
        Memory held = IdleStreams.measure(proxy, CallerLeg.TLS, certificates, List.of(token), 20);
        Histogram paced =
            new OpenLoop(100, 2)
                .run(
                    LatencyLoad.connecting(certificates, CallerLeg.TLS, proxy.port()),
                    new PlainGet(
                        proxy.prefix() + "/v1/models", "Bearer " + token, StreamUpstream.SHORT),
                    Duration.ofMillis(500));

        assertThat(requests.operations()).as(proxy.name()).isPositive();
        assertThat(requests.wrong()).as(proxy.name()).isZero();
        assertThat(events.operations()).as(proxy.name()).isPositive();
        assertThat(events.wrong()).as(proxy.name()).isZero();
        assertThat(paced.getTotalCount()).as(proxy.name()).isBetween(48L, 50L);
      }
    }
  }
}
