package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.proofs.Tokens.Answer;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two issuers and two gateways behind a real load balancer, under load all the time: each is
 * replaced, which also replaces its signing key, and then one of each is killed. Invariants: P9.
 */
class RollingUpgradeTest {

  private static final double REFUSED_AT_MOST = 0.001;
  private static final Duration AFTER_A_KILL = Duration.ofSeconds(10);
  private static final TestIssuer ISSUER = new TestIssuer("ci");

  @TempDir private Path folder;

  private final LoadBalancer balancer = new LoadBalancer();
  private final Map<String, String> settings = new HashMap<>();
  private RunningBroker neighbour;

  /** A request that was legitimate and was not served. */
  private record Refusal(long nanos, String what) {}

  /** One replica, and where it is to be found whatever process plays it. */
  private record Place(String role, int port, int gateway, int management) {

    static Place of(String role) {
      return new Place(
          role, RunningBroker.freePort(), RunningBroker.freePort(), RunningBroker.freePort());
    }

    LoadBalancer.Server server() {
      return new LoadBalancer.Server(
          role + management, role.equals("issuer") ? port : gateway, management);
    }
  }

  @Test
  void everyReplica_isReplacedUnderLoadAndOneOfEachKilled_almostNothingIsRefused()
      throws Exception {
    assumeThat(LoadBalancer.isInstalled()).as("HAProxy is installed").isTrue();
    List<Place> places =
        List.of(Place.of("issuer"), Place.of("issuer"), Place.of("gateway"), Place.of("gateway"));
    HttpsServer upstream = upstream();
    Map<Place, BrokerProcess> fleet = new HashMap<>();
    try {
      for (Place place : places) {
        fleet.put(place, start(place));
      }
      balancer.start(folder, servers(places, "issuer"), servers(places, "gateway"));
      Thread.sleep(1500);
      try (Clients clients = new Clients(4)) {
        Thread.sleep(1500);
        for (Place place : places) {
          fleet.get(place).terminate();
          fleet.put(place, start(place));
          Thread.sleep(1000);
        }
        int rolled = clients.served.get();
        List<Refusal> refused = List.copyOf(clients.refused);
        System.out.printf("rolling: %d served, %d refused %s%n", rolled, refused.size(), refused);
        assertThat(rolled).isGreaterThan(500);
        assertThat((double) refused.size() / rolled).isLessThanOrEqualTo(REFUSED_AT_MOST);
        assertThat(clients.kids.size()).as("keys that signed").isGreaterThanOrEqualTo(3);

        long killed = System.nanoTime();
        fleet.get(places.get(0)).kill();
        fleet.get(places.get(2)).kill();
        Thread.sleep(AFTER_A_KILL.plusSeconds(3));
        List<Refusal> after = new ArrayList<>(clients.refused);
        after.removeAll(refused);
        int served = clients.served.get() - rolled;
        long last = after.stream().mapToLong(r -> r.nanos() - killed).max().orElse(0) / 1_000_000;
        System.out.printf(
            "killed: %d served, %d refused, the last %d ms after %s%n",
            served, after.size(), last, after);
        assertThat(served).isGreaterThan(100);
        assertThat(last).isLessThan(AFTER_A_KILL.toMillis());
      }
    } finally {
      balancer.close();
      fleet.values().forEach(BrokerProcess::close);
      upstream.stop(0);
      neighbour.close();
    }
  }

  private HttpsServer upstream() throws Exception {
    TestAuthority authority = TestAuthority.create("upstreams");
    HttpsServer upstream =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    upstream.createContext("/", RollingUpgradeTest::echo);
    upstream.start();
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("key"), "sk-real-of-the-upgrade");
    settings.put("valetkey.file-source.directory", files.toString());
    settings.put("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128");
    settings.put("valetkey.gateway.trusted-certificates", authority.writePem(folder).toString());
    settings.put("valetkey.shutdown.delay", "3s");
    // A machine that is busy with builds is not what is tested.
    settings.put("valetkey.audit.deadline", "4s");
    neighbour =
        RunningBroker.start(
            Map.of(
                "valetkey.public-url", balancer.apiUrl(),
                "valetkey.gateway.public-url", balancer.gatewayUrl()));
    new Policies(neighbour)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot-subject", "")
        .destination(
            "openai",
            "{\"kind\":\"http\",\"origin\":\"https://localhost:%d\",\"credential\":{\"source\":\"file\",\"name\":\"key\"}}"
                .formatted(upstream.getAddress().getPort()))
        .scope("openai", "say", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/say\"]}]}")
        .grant("bot-openai", "bot", "openai", List.of("say"))
        .await(neighbour);
    return upstream;
  }

  private static void echo(HttpExchange exchange) throws IOException {
    byte[] answer = "{}".getBytes(StandardCharsets.US_ASCII);
    exchange.sendResponseHeaders(200, answer.length);
    exchange.getResponseBody().write(answer);
    exchange.close();
  }

  private BrokerProcess start(Place place) {
    Map<String, String> own = new HashMap<>(settings);
    own.put("valetkey.roles", place.role());
    return BrokerProcess.start(
        neighbour,
        folder,
        place.port(),
        place.gateway(),
        place.management(),
        balancer.apiUrl(),
        balancer.gatewayUrl(),
        own);
  }

  private static List<LoadBalancer.Server> servers(List<Place> places, String role) {
    return places.stream().filter(p -> p.role().equals(role)).map(Place::server).toList();
  }

  /** Agents that get a token and use it, again and again, without trying anything twice. */
  private final class Clients implements AutoCloseable {
    final AtomicInteger served = new AtomicInteger();
    final Queue<Refusal> refused = new ConcurrentLinkedQueue<>();
    final Set<String> kids = ConcurrentHashMap.newKeySet();
    private final List<Thread> threads = new ArrayList<>();
    private final Map<String, String> form =
        Tokens.exchange(ISSUER.token("bot-subject", balancer.apiUrl()));
    private volatile boolean running = true;

    Clients(int count) {
      for (int i = 0; i < count; i++) {
        threads.add(Thread.ofVirtual().start(this::run));
      }
    }

    private void run() {
      try {
        while (running) {
          Answer token = note("token", () -> Tokens.ask(balancer.apiUrl(), form));
          if (token != null) {
            kids.add(token.parsed().getHeader().getKeyID());
            URI say = URI.create(balancer.gatewayUrl() + "/d/openai/say");
            for (int i = 0; i < 3; i++) {
              note("request", () -> Tokens.get(say, "Authorization", "Bearer " + token.token()));
            }
          }
          Thread.sleep(20);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    private Answer note(String what, Ask ask) throws InterruptedException {
      String why;
      try {
        Answer answer = ask.ask();
        if (answer.status() == 200) {
          served.incrementAndGet();
          return answer;
        }
        why = answer.status() + " " + answer.body();
      } catch (IOException | RuntimeException e) {
        why = e.toString();
      }
      refused.add(new Refusal(System.nanoTime(), what + ": " + why));
      return null;
    }

    @Override
    public void close() throws InterruptedException {
      running = false;
      for (Thread thread : threads) {
        thread.join();
      }
    }
  }

  private interface Ask {
    Answer ask() throws IOException, InterruptedException;
  }
}
