package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.realparts.NetworkPath;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import org.HdrHistogram.Histogram;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * How long a stop takes: one issuer and three gateways, each a process, a thousand event streams
 * open through them. Agent after agent is stopped; the time runs from the admin's answer. Once as
 * it is, and once with every notification of the database lost on the way to the gateways.
 */
public final class StopLoad {

  private static final String CREDENTIAL = "sk-real-" + UUID.randomUUID();
  private static final String ADMIN = "bench-bootstrap-token-" + UUID.randomUUID();
  private static final int GATEWAYS = 3;
  private static final long LONGEST_MICROS = 60_000_000;

  private final HttpClient http = HttpClient.newHttpClient();
  private final Options options;
  private final Path folder;
  private final BenchPostgres postgres;

  private StopLoad(Options options, Path folder, BenchPostgres postgres) {
    this.options = options;
    this.folder = folder;
    this.postgres = postgres;
  }

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options = new Options(args, "streams", "stops", "per-agent", "event-millis");
    Conditions.print();
    Path folder = RunFolder.make();
    try (BenchPostgres postgres = BenchPostgres.start()) {
      var load = new StopLoad(options, folder, postgres);
      load.run("notified", false);
      load.run("notification lost", true);
    }
    Conditions.print();
  }

  private void run(String name, boolean lost) throws Exception {
    int perAgent = options.number("per-agent", 10);
    int streams = options.number("streams", 1000);
    int stops = options.number("stops", 50);
    Path part = Files.createDirectory(folder.resolve(lost ? "lost" : "notified"));
    var authority = TestAuthority.create("upstreams");
    Path certificate = authority.server("localhost").writePem(part, "upstream");
    var rate = Duration.ofMillis(options.number("event-millis", 1000));
    var issuer = new IdentityIssuer(JWSAlgorithm.ES256);
    String database = postgres.createMigrated(lost ? "stop_lost" : "stop_notified");
    var losing = new LostNotifications();
    int databasePort = URI.create(postgres.url(database).substring("jdbc:".length())).getPort();
    try (var upstream = new StreamUpstream(certificate, part.resolve("upstream.key"), rate);
        var path = lost ? NetworkPath.to(databasePort, losing) : NetworkPath.to(databasePort);
        var fleet = new Fleet(part, database, lost ? path.port() : databasePort, authority)) {
      // Before the policy: on a database that has one, a bootstrap token is worth nothing.
      postgres.execute(
          database,
          "INSERT INTO installation (bootstrap_hash, bootstrap_ends_at) VALUES (sha256('"
              + ADMIN
              + "'::bytea), now() + interval '1 hour')");
      new PolicySeed(postgres, database)
          .write(issuer, streams / perAgent + stops, 1, "https://localhost:" + upstream.port());
      fleet.start();
      Deque<Agent> open = new ArrayDeque<>();
      for (int i = 0; i < streams / perAgent; i++) {
        open.add(new Agent(fleet, issuer, i, perAgent));
      }
      int before = upstream.open();
      Figures figures = measure(fleet, issuer, open, stops, perAgent);
      System.out.printf(
          Locale.ROOT,
          "%s: %d stops, %d streams open at the start, %d at the end, %d notifications dropped%n",
          name,
          stops,
          before,
          upstream.open(),
          losing.lost());
      figures.print();
      open.forEach(Agent::leave);
    }
  }

  /** Stops one agent after the other; a new one with as many streams takes its place. */
  private static Figures measure(
      Fleet fleet, IdentityIssuer issuer, Deque<Agent> open, int stops, int perAgent)
      throws Exception {
    int agents = open.size();
    var figures = new Figures();
    for (int i = 0; i < stops; i++) {
      Agent agent = open.remove();
      fleet.stop(agent, figures);
      open.add(new Agent(fleet, issuer, agents + i, perAgent));
    }
    return figures;
  }

  /** What was measured, in microseconds after the admin's answer. */
  private static final class Figures {
    private final Map<String, Histogram> histograms = new HashMap<>();

    void note(String what, long micros) {
      histograms
          .computeIfAbsent(what, k -> new Histogram(LONGEST_MICROS, 3))
          .recordValue(Math.clamp(micros, 0, LONGEST_MICROS));
    }

    void print() {
      histograms.entrySet().stream()
          .sorted(Map.Entry.comparingByKey())
          .forEach(entry -> {
            Histogram times = entry.getValue();
            System.out.printf(
                Locale.ROOT,
                "  %-55s p50 %7.1f ms   p99 %7.1f ms   max %7.1f ms%n",
                entry.getKey(),
                times.getValueAtPercentile(50) / 1000.0,
                times.getValueAtPercentile(99) / 1000.0,
                times.getMaxValue() / 1000.0);
          });
    }
  }

  /** One agent with its token and its streams, spread over the gateways. */
  private static final class Agent {
    final String name;
    final String token;
    final List<StopProbe.Stream> streams = new ArrayList<>();

    Agent(Fleet fleet, IdentityIssuer issuer, int number, int perAgent) throws Exception {
      this.name = "agent-" + number;
      this.token = fleet.token(issuer.token("subject-" + number, fleet.url()));
      for (int i = 0; i < perAgent; i++) {
        streams.add(StopProbe.open(fleet.gateways().get((number + i) % GATEWAYS), token));
      }
    }

    void leave() {
      streams.forEach(StopProbe.Stream::close);
    }
  }

  /** The issuer and the gateways. */
  private final class Fleet implements AutoCloseable {
    private final List<ServerProcess> processes = new ArrayList<>();
    private final List<Integer> gatewayPorts = new ArrayList<>();
    private final Map<String, String> common = new HashMap<>();
    private final String database;
    private final int databasePort;
    private final int port = ServerProcess.freePort();

    Fleet(Path part, String database, int databasePort, TestAuthority authority)
        throws IOException {
      this.database = database;
      this.databasePort = databasePort;
      Path files = Files.createDirectory(part.resolve("files"));
      Files.writeString(files.resolve("upstream"), CREDENTIAL);
      common.put("valetkey.file-source.directory", files.toString());
      common.put("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128");
      common.put("valetkey.gateway.trusted-certificates", authority.writePem(part).toString());
      common.put("valetkey.public-url", url());
      common.put("valetkey.gateway.public-url", "http://127.0.0.1:1");
      common.put("valetkey.admin.bootstrap-token", ADMIN);
      common.put("valetkey.gateway.drain", "0s");
    }

    void start() throws IOException {
      Map<String, String> issuer = new HashMap<>(common);
      issuer.put("spring.datasource.url", postgres.url(database));
      issuer.put("valetkey.roles", "issuer");
      issuer.put("server.port", String.valueOf(port));
      processes.add(Servers.replica("issuer", folder, port, issuer));
      for (int i = 0; i < GATEWAYS; i++) {
        int own = ServerProcess.freePort();
        Map<String, String> gateway = new HashMap<>(common);
        gateway.put(
            "spring.datasource.url",
            "jdbc:postgresql://localhost:%d/%s?sslmode=disable&gssEncMode=disable"
                .formatted(databasePort, database));
        gateway.put("valetkey.roles", "gateway");
        gateway.put("valetkey.gateway.port", String.valueOf(own));
        processes.add(Servers.replica("gateway-" + i, folder, own, gateway));
        gatewayPorts.add(own);
      }
    }

    String url() {
      return "http://127.0.0.1:" + port;
    }

    List<Integer> gateways() {
      return gatewayPorts;
    }

    String token(String identity) throws Exception {
      String form =
          TokenRequests.exchange(List.of(identity), "http://127.0.0.1:1/d/dest-0")
              .nextBody()
              .toString();
      JsonNode answer =
          send(
              HttpRequest.newBuilder(URI.create(url() + "/oauth2/token"))
                  .header("Content-Type", "application/x-www-form-urlencoded")
                  .POST(BodyPublishers.ofString(form))
                  .build());
      return answer.required("access_token").asString();
    }

    /** Stops one agent and notes how long that took at each end. */
    void stop(Agent agent, Figures figures) throws Exception {
      List<StopProbe.Prober> probers =
          gatewayPorts.stream().map(gateway -> new StopProbe.Prober(gateway, agent.token)).toList();
      for (StopProbe.Prober prober : probers) {
        prober.awaitServed();
      }
      long asked = System.nanoTime();
      JsonNode stop = order(agent);
      long answered = System.nanoTime();
      String id = stop.required("id").asString();
      while (!stop.required("acknowledged").asBoolean()) {
        Thread.sleep(1);
        stop = progress(id);
      }
      long acknowledged = System.nanoTime();
      long lastByte = 0;
      long lastEnd = 0;
      for (StopProbe.Stream stream : agent.streams) {
        stream.awaitEnd();
        lastByte = Math.max(lastByte, stream.lastByteNanos() - answered);
        lastEnd = Math.max(lastEnd, stream.endNanos() - answered);
      }
      long lastServed = 0;
      for (StopProbe.Prober prober : probers) {
        prober.awaitRefused();
        lastServed = Math.max(lastServed, prober.lastServedNanos() - answered);
      }
      if (stop.at("/streams/cut").asInt() < agent.streams.size()) {
        throw new IllegalStateException("not every stream was counted: " + stop);
      }
      figures.note("1 the order itself, until it is answered", (answered - asked) / 1000);
      figures.note("2 answer -> last request that was still served", lastServed / 1000);
      figures.note("3 answer -> last byte that still passed", lastByte / 1000);
      figures.note("4 answer -> last stream is closed", lastEnd / 1000);
      figures.note("5 answer -> acknowledged by all gateways", (acknowledged - answered) / 1000);
    }

    private JsonNode order(Agent agent) throws Exception {
      String body = "{\"target\":{\"agent\":\"%s\"},\"reason\":\"bench\"}".formatted(agent.name);
      return send(
          admin("/stops")
              .header("Content-Type", "application/json")
              .POST(BodyPublishers.ofString(body))
              .build());
    }

    private JsonNode progress(String stop) throws Exception {
      return send(admin("/stops/" + stop).build());
    }

    private HttpRequest.Builder admin(String path) {
      return HttpRequest.newBuilder(URI.create(url() + "/admin/v1" + path))
          .header("Authorization", "Bearer " + ADMIN);
    }

    private JsonNode send(HttpRequest request) throws Exception {
      HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());
      if (answer.statusCode() >= 300) {
        throw new IllegalStateException(answer.statusCode() + " " + answer.body());
      }
      return JsonMapper.shared().readTree(answer.body());
    }

    @Override
    public void close() {
      processes.forEach(ServerProcess::close);
    }
  }
}
