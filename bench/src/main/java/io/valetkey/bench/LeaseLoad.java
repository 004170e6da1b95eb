package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Leases of PostgreSQL logins: handed out and given back through the broker, against the same made
 * and revoked at Vault directly, in interleaved rounds; and how many requests to Vault one lease
 * costs, counted in Vault's own audit file. Then a stop of many leases at once.
 */
public final class LeaseLoad {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final JsonMapper JSON = JsonMapper.shared();

  private final RealVault vault;
  private final Path auditFile;
  private final String api;
  private final String token;
  private final int connections;

  private LeaseLoad(RealVault vault, Path auditFile, String api, String token, int connections) {
    this.vault = vault;
    this.auditFile = auditFile;
    this.api = api;
    this.token = token;
    this.connections = connections;
  }

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options = new Options(args, "leases", "rounds", "connections", "stopped");
    if (!Servers.brokerIsBuilt()) {
      throw new IllegalStateException("build broker-server first: mvn package");
    }
    Conditions.print();
    Path folder = RunFolder.make();
    try (BenchPostgres postgres = BenchPostgres.start();
        RealVault vault = RealVault.startOwn()) {
      Path auditFile = setUp(vault, postgres, folder);
      var issuer = new IdentityIssuer(JWSAlgorithm.ES256);
      String database = postgres.createMigrated("broker");
      new PolicySeed(postgres, database).write(issuer, 1, 1, "https://upstream.test");
      lease(postgres, database);
      int port = ServerProcess.freePort();
      Map<String, String> settings =
          Map.of(
              "valetkey.vault.uri",
              vault.uri().toString(),
              "valetkey.vault.token",
              vault.rootToken());
      try (var broker =
          Servers.broker(folder, postgres, database, port, ServerProcess.freePort(), settings)) {
        String api = "http://127.0.0.1:" + port;
        var load =
            new LeaseLoad(
                vault,
                auditFile,
                api,
                token(api, issuer.token("subject-0", api)),
                options.number("connections", 8));
        System.out.printf("broker process %d, Vault %s%n", broker.pid(), vault.uri());
        load.compare(options.number("leases", 400), options.number("rounds", 5));
        load.stop(options.number("stopped", 500), postgres, database);
      }
      Conditions.print();
    }
  }

  private static Path setUp(RealVault vault, BenchPostgres postgres, Path folder)
      throws SQLException {
    postgres.create("orders");
    postgres.execute(
        "orders",
        "CREATE ROLE orders_reader NOLOGIN",
        "CREATE TABLE orders (id int)",
        "GRANT SELECT ON orders TO orders_reader");
    Path auditFile = folder.resolve("vault-audit.log");
    vault.send("POST", "sys/mounts/database", Map.of("type", "database"));
    vault.send(
        "POST",
        "database/config/orders",
        Map.of(
            "plugin_name",
            "postgresql-database-plugin",
            "allowed_roles",
            "*",
            "connection_url",
            postgres
                .url("orders")
                .replaceAll("^jdbc:|\\?.*$", "")
                .replace("//", "//{{username}}:{{password}}@"),
            "username",
            "postgres",
            "password",
            "postgres",
            "max_open_connections",
            "16"));
    vault.send(
        "POST",
        "database/roles/reader",
        Map.of(
            "db_name",
            "orders",
            "creation_statements",
            "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
                + " IN ROLE orders_reader",
            "revocation_statements",
            "ALTER ROLE \"{{name}}\" NOLOGIN; SELECT pg_terminate_backend(pid) FROM"
                + " pg_stat_activity WHERE usename = '{{name}}'; DROP ROLE IF EXISTS"
                + " \"{{name}}\"",
            "default_ttl",
            "1h"));
    vault.policy(
        "valetkey-lease-database-reader",
        "path \"database/creds/reader\" { capabilities = [\"read\"] }");
    vault.send(
        "POST",
        "auth/token/roles/valetkey-lease",
        Map.of("allowed_policies_glob", List.of("valetkey-lease-*"), "orphan", true));
    vault.send(
        "PUT",
        "sys/audit/file",
        Map.of("type", "file", "options", Map.of("file_path", auditFile.toString())));
    return auditFile;
  }

  private static void lease(BenchPostgres postgres, String database) throws SQLException {
    postgres.execute(
        database,
        "UPDATE destination SET spec = '{\"kind\":\"lease\",\"origin\":\"postgresql://localhost/orders\","
            + "\"credential\":{\"source\":\"vault-dynamic\",\"mount\":\"database\",\"role\":\"reader\"}}'",
        "UPDATE scope SET spec = '{\"lease\":{\"maxTtl\":\"1h\",\"maxLive\":10000}}'");
  }

  private static String token(String api, String identity) throws Exception {
    String form =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
            + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience=dest-0"
            + "&subject_token="
            + URLEncoder.encode(identity, StandardCharsets.UTF_8);
    var request =
        HttpRequest.newBuilder(URI.create(api + "/oauth2/token"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form));
    return right(request, 200).path("access_token").asString();
  }

  private static JsonNode right(HttpRequest.Builder request, int status)
      throws IOException, InterruptedException {
    HttpResponse<String> answer = HTTP.send(request.build(), BodyHandlers.ofString());
    if (answer.statusCode() != status) {
      throw new IllegalStateException(answer.statusCode() + " instead of " + status);
    }
    return answer.body().isEmpty() ? JSON.createObjectNode() : JSON.readTree(answer.body());
  }

  /** What one side did. */
  private static final class Tally {

    private final String name;
    private final Histogram made = new ConcurrentHistogram(3);
    private final Histogram ended = new ConcurrentHistogram(3);
    private final List<Double> perSecond = new ArrayList<>();

    Tally(String name) {
      this.name = name;
    }

    void print() {
      System.out.printf(
          "%-8s pairs per second %s; made p50 %.1f ms, p99 %.1f ms; ended p50 %.1f ms, p99 %.1f ms%n",
          name,
          perSecond.stream().map("%.0f"::formatted).toList(),
          made.getValueAtPercentile(50) / 1e3,
          made.getValueAtPercentile(99) / 1e3,
          ended.getValueAtPercentile(50) / 1e3,
          ended.getValueAtPercentile(99) / 1e3);
    }
  }

  private void compare(int leases, int rounds) throws Exception {
    var ours = new Tally("broker");
    var peer = new Tally("Vault");
    round(new Tally("warm-up"), leases, this::lease, this::release);
    long before = 0;
    long after = 0;
    for (int i = 0; i < rounds; i++) {
      long begun = vaultRequests();
      round(ours, leases, this::lease, this::release);
      after += vaultRequests() - begun;
      before += leases;
      round(peer, leases, this::make, this::revoke);
    }
    ours.print();
    peer.print();
    System.out.printf(
        "requests to Vault for each lease, from its beginning to its end: %.2f (of which 3 hand it"
            + " out)%n",
        (double) after / before);
  }

  private interface Making {
    String make() throws Exception;
  }

  private interface Ending {
    void end(String id) throws Exception;
  }

  private void round(Tally tally, int count, Making making, Ending ending) throws Exception {
    long begun = System.nanoTime();
    try (ExecutorService threads = Executors.newFixedThreadPool(connections)) {
      List<Future<?>> pairs = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        pairs.add(
            threads.submit(
                (Callable<Boolean>)
                    () -> {
                      String id = timed(making::make, tally.made::recordValue);
                      return timed(
                          () -> {
                            ending.end(id);
                            return true;
                          },
                          tally.ended::recordValue);
                    }));
      }
      for (Future<?> pair : pairs) {
        pair.get();
      }
    }
    tally.perSecond.add(count * 1e9 / (System.nanoTime() - begun));
  }

  private static <T> T timed(Callable<T> call, LongConsumer micros) throws Exception {
    long begun = System.nanoTime();
    T result = call.call();
    micros.accept(TimeUnit.NANOSECONDS.toMicros(System.nanoTime() - begun));
    return result;
  }

  private HttpRequest.Builder ours(String path) {
    return HttpRequest.newBuilder(URI.create(api + path))
        .header("Authorization", "Bearer " + token);
  }

  private String lease() throws Exception {
    return right(
            ours("/v1/leases")
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", UUID.randomUUID().toString())
                .POST(BodyPublishers.ofString("{\"destination\":\"dest-0\"}")),
            201)
        .path("id")
        .asString();
  }

  private void release(String id) throws Exception {
    right(ours("/v1/leases/" + id).DELETE(), 204);
  }

  private HttpRequest.Builder vaults(String path) {
    return HttpRequest.newBuilder(URI.create(vault.uri() + "/v1/" + path))
        .header("X-Vault-Token", vault.rootToken());
  }

  private String make() throws Exception {
    return right(vaults("database/creds/reader").GET(), 200).path("lease_id").asString();
  }

  private void revoke(String id) throws Exception {
    String body = JSON.writeValueAsString(Map.of("lease_id", id, "sync", true));
    right(vaults("sys/leases/revoke").POST(BodyPublishers.ofString(body)), 204);
  }

  private long vaultRequests() throws IOException {
    try (Stream<String> lines = Files.lines(auditFile)) {
      return lines.filter(line -> line.contains("\"type\":\"request\"")).count();
    }
  }

  private void stop(int leases, BenchPostgres postgres, String database) throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(connections)) {
      List<Future<String>> made = new ArrayList<>();
      for (int i = 0; i < leases; i++) {
        made.add(threads.submit((Callable<String>) this::lease));
      }
      for (Future<String> lease : made) {
        lease.get();
      }
    }
    long begun = System.nanoTime();
    postgres.execute(
        database,
        "WITH raised AS (UPDATE stop_epoch SET epoch = epoch + 1 RETURNING epoch) INSERT INTO stop"
            + " (id, epoch, target_kind, target, reason, created_by) SELECT gen_random_uuid(), epoch,"
            + " 'agent', 'agent-0', 'bench', 'bench' FROM raised",
        "NOTIFY valetkey_change");
    try (Connection connection = postgres.connect(database)) {
      while (!BenchPostgres.text(connection, "SELECT count(*) FROM lease WHERE state <> 'revoked'")
          .equals("0")) {
        Thread.sleep(Duration.ofMillis(50));
      }
    }
    System.out.printf(
        "a stop of %d leases: all gone, and looked up, after %.1f s%n",
        leases, (System.nanoTime() - begun) / 1e9);
  }
}
