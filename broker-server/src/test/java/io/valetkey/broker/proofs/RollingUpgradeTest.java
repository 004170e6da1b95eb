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
import io.valetkey.broker.proofs.Clients.Refusal;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two issuers and two gateways behind a real load balancer, under load all the time: each is
 * replaced in its place, an issuer and a gateway at a time, which also replaces the signing key,
 * then the keys are rotated, and then one of each is killed. Invariants: P9.
 */
class RollingUpgradeTest {

  private static final double REFUSED_AT_MOST = 0.001;
  private static final Duration AFTER_A_KILL = Duration.ofSeconds(10);
  private static final TestIssuer ISSUER = new TestIssuer("ci");

  @TempDir private Path folder;

  private final LoadBalancer balancer = new LoadBalancer();
  private final Map<String, String> settings = new HashMap<>();
  private final Map<Place, BrokerProcess> fleet = new ConcurrentHashMap<>();
  private RunningBroker neighbour;

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
  void everyReplica_isReplacedKeysRotateAndOneOfEachIsKilledUnderLoad_almostNothingIsRefused()
      throws Exception {
    assumeThat(LoadBalancer.isInstalled()).as("HAProxy is installed").isTrue();
    List<Place> places =
        List.of(Place.of("issuer"), Place.of("gateway"), Place.of("issuer"), Place.of("gateway"));
    HttpsServer upstream = upstream();
    try {
      together(places, this::begin);
      balancer.start(folder, servers(places, "issuer"), servers(places, "gateway"));
      Thread.sleep(1500);
      try (Clients clients =
          new Clients(3, balancer.apiUrl(), balancer.gatewayUrl() + "/d/openai/say", ISSUER)) {
        awaitKeys(2, clients);
        replace(places.subList(0, 2), 1, clients);
        replace(places.subList(2, 4), 2, clients);
        awaitKeys(4, clients);
        rotateKeys(clients);
        requireAlmostNothingRefused(clients);
        killOneOfEach(places, clients);
      }
    } finally {
      balancer.close();
      fleet.values().forEach(BrokerProcess::close);
      upstream.stop(0);
      neighbour.close();
    }
  }

  private static void together(List<Place> places, Consumer<Place> work) throws Exception {
    List<Callable<Object>> all =
        places.stream().map(place -> Executors.callable(() -> work.accept(place))).toList();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (Future<Object> done : threads.invokeAll(all)) {
        done.get();
      }
    }
  }

  private void begin(Place place) {
    fleet.put(place, start(place));
  }

  /** An issuer and a gateway at once, in their places: one of each serves alone meanwhile. */
  private void replace(List<Place> pair, int ended, Clients clients) throws Exception {
    Phase phase = new Phase("replaced", clients);
    together(
        pair,
        place -> {
          Objects.requireNonNull(fleet.get(place)).terminate();
          begin(place);
        });
    assertThat(signedOff()).as("gateways that signed off").isEqualTo(ended);
    // The balancer has to see the new ones before it is the turn of the others.
    Thread.sleep(1500);
    phase.print();
  }

  /** What was served and refused since it began. */
  private static final class Phase {
    private final String name;
    private final Clients clients;
    private final int served;
    private final int refused;
    private final long begun = System.nanoTime();

    Phase(String name, Clients clients) {
      this.name = name;
      this.clients = clients;
      this.served = clients.served.get();
      this.refused = clients.refused.size();
    }

    int served() {
      return clients.served.get() - served;
    }

    List<Refusal> refused() {
      return clients.refused.stream().skip(refused).toList();
    }

    /** When the last refusal was, from the beginning of this. */
    long lastMillis() {
      return refused().stream().mapToLong(r -> r.nanos() - begun).max().orElse(0) / 1_000_000;
    }

    void print() {
      System.out.printf(
          "%s: %d served, %d refused in %d ms, the last after %d ms %s%n",
          name,
          served(),
          refused().size(),
          (System.nanoTime() - begun) / 1_000_000,
          lastMillis(),
          refused());
    }
  }

  private static void awaitKeys(int count, Clients clients) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (clients.kids.size() < count) {
      assertThat(System.nanoTime())
          .as("%d keys sign, not only %s", count, clients.kids)
          .isLessThan(end);
      Thread.sleep(50);
    }
  }

  private static void requireAlmostNothingRefused(Clients clients) {
    int served = clients.served.get();
    int refused = clients.refused.size();
    System.out.printf("replaced and rotated: %d served, %d refused%n", served, refused);
    assertThat(served).as("so many that a thousandth means something").isGreaterThan(1000);
    assertThat((double) refused / (served + refused)).isLessThanOrEqualTo(REFUSED_AT_MOST);
  }

  private int signedOff() throws SQLException {
    try (Connection database = neighbour.database();
        ResultSet rows =
            database
                .createStatement()
                .executeQuery("SELECT count(*) FROM gateway_replica WHERE serves_millis = -1")) {
      rows.next();
      return rows.getInt(1);
    }
  }

  /** By the order for an emergency, but without the end of the tokens. */
  private void rotateKeys(Clients clients) throws Exception {
    int before = clients.kids.size();
    Phase phase = new Phase("rotated", clients);
    HttpRequest order =
        HttpRequest.newBuilder(neighbour.api("/admin/v1/signing-keys/rotations"))
            .header("Authorization", "Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString("{\"reason\":\"a drill\",\"revoke\":false}"))
            .build();
    try (HttpClient http = HttpClient.newHttpClient()) {
      assertThat(http.send(order, BodyHandlers.ofString()).statusCode()).isEqualTo(201);
    }
    awaitKeys(before + 2, clients);
    Thread.sleep(1000);
    phase.print();
    assertThat(phase.refused())
        .as("tokens of the new keys, and of the old ones, that a gateway did not know")
        .noneMatch(refusal -> refusal.what().startsWith("request: 401"));
  }

  private void killOneOfEach(List<Place> places, Clients clients) throws Exception {
    Phase phase = new Phase("killed", clients);
    Objects.requireNonNull(fleet.get(places.get(0))).kill();
    Objects.requireNonNull(fleet.get(places.get(1))).kill();
    Thread.sleep(AFTER_A_KILL.plusSeconds(3));
    phase.print();
    assertThat(phase.served()).isGreaterThan(100);
    assertThat(phase.lastMillis()).isLessThan(AFTER_A_KILL.toMillis());
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
}
