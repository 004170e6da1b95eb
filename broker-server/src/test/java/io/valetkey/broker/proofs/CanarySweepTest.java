package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.proofs.Tokens.Answer;
import io.valetkey.realparts.TestAuthority;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Secrets that would be recognised anywhere go through the broker while everything is logged; they
 * are then looked for everywhere. Invariant: P6.
 */
class CanarySweepTest {

  private static final String CREDENTIAL = "canary-upstream-credential-5d1f7c0a";
  private static final String BOOTSTRAP = "canary-bootstrap-token-0123456789abcdef";
  private static final String PASSWORD = "canary-database-password-77aa";
  private static final String MISPLACED = "Canary_misplaced_secret_91cc";
  private static final TestIssuer ISSUER = new TestIssuer("ci");

  private final Map<String, String> canaries = new LinkedHashMap<>();
  private final List<String> answers = new ArrayList<>();
  private final List<String> upstreamSaw = new CopyOnWriteArrayList<>();
  @TempDir private Path folder;

  /** Lines for people, and lines for machines, which hold more fields. */
  @ParameterizedTest
  @ValueSource(strings = {"", "ecs", "logstash"})
  void noSecret_appearsWhereItDoesNotBelong(String format) throws Exception {
    Path secrets = Files.createDirectory(folder.resolve("secrets"));
    Files.writeString(secrets.resolve("key"), CREDENTIAL);
    Path log = folder.resolve("broker.log");
    TestAuthority authority = TestAuthority.create("upstream");
    HttpsServer upstream = upstream(authority);
    OtlpReceiver traces = new OtlpReceiver();
    try (RunningBroker broker =
        RunningBroker.start(
            Map.ofEntries(
                Map.entry("valetkey.admin.bootstrap-token", BOOTSTRAP),
                Map.entry("spring.datasource.password", PASSWORD),
                Map.entry("valetkey.file-source.directory", secrets.toString()),
                Map.entry("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128"),
                Map.entry(
                    "valetkey.gateway.trusted-certificates", authority.writePem(folder).toString()),
                Map.entry("valetkey.tracing.otlp-endpoint", traces.endpoint()),
                Map.entry("valetkey.tracing.sample-percent", "100"),
                Map.entry("logging.structured.format.file", format),
                Map.entry("logging.level.root", "TRACE"),
                Map.entry("logging.file.name", log.toString()),
                // All of it in the one file that is looked at.
                Map.entry("logging.logback.rollingpolicy.max-file-size", "1GB"),
                Map.entry("logging.threshold.console", "OFF")))) {
      canaries.put("credential", CREDENTIAL);
      canaries.put("bootstrap token", BOOTSTRAP);
      canaries.put("database password", PASSWORD);
      canaries.put("misplaced secret", MISPLACED);
      write(broker, upstream.getAddress().getPort());

      goodAndBadTokenRequests(broker);
      goodAndBadUses(broker);
      goodAndBadAdminRequests(broker);
      goodAndBadSignals(broker);
      for (String path : List.of("/actuator/prometheus", "/actuator/health")) {
        answers.add(Tokens.raw(java.net.URI.create(broker.managementUrl() + path)));
      }

      requireNone("an answer", String.join("\n", answers));
      requireNone("the database", dump(broker));
    } finally {
      upstream.stop(0);
      traces.close();
    }
    assertThat(traces.spans()).as("traces").hasSizeGreaterThan(100);
    requireNone("the traces", traces.raw());
    String logged = Files.readString(log, StandardCharsets.ISO_8859_1);
    assertThat(logged).as("everything was logged").contains("TRACE").contains("DEBUG");
    assertThat(logged.length()).isGreaterThan(100_000);
    requireNone("the log", logged);
    assertThat(upstreamSaw).as("where it belongs").contains("Bearer " + CREDENTIAL);
  }

  /** Says back everything that it was sent. */
  private HttpsServer upstream(TestAuthority authority) throws Exception {
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost", "127.0.0.1").serverContext()));
    server.createContext(
        "/",
        exchange -> {
          String authorization = exchange.getRequestHeaders().getFirst("Authorization");
          upstreamSaw.add(String.valueOf(authorization));
          byte[] body = ("you sent " + authorization).getBytes(StandardCharsets.UTF_8);
          exchange.getResponseHeaders().add("X-Echo", String.valueOf(authorization));
          exchange.sendResponseHeaders(200, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    server.start();
    return server;
  }

  private static void write(RunningBroker broker, int port) throws Exception {
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot-subject", "")
        .destination(
            "openai", Tokens.DESTINATION.formatted("x").replace("api.x.test", "localhost:" + port))
        .scope(
            "openai", "chat", "{\"allow\":[{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/**\"]}]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .await(broker);
  }

  /** The signature alone gives a token away: nobody can make it, and it is in no other text. */
  private String plant(String what, String token) {
    canaries.put(what, token.substring(token.lastIndexOf('.') + 1));
    return token;
  }

  private void goodAndBadTokenRequests(RunningBroker broker) throws Exception {
    String uri = broker.url() + "/oauth2/token";
    String identity = plant("identity", ISSUER.token("bot-subject", broker.url()));
    String proof = plant("proof", Proof.on(uri).sign());
    Answer bound = Tokens.ask(broker.url(), Tokens.exchange(identity), "DPoP", proof);
    assertThat(bound.hasToken()).isTrue();
    plant("bound token", bound.token());
    answers.add(Tokens.ask(broker.url(), Tokens.exchange(identity), "DPoP", proof).http().body());
    String stranger = plant("stranger", new TestIssuer("x").token("bot-subject", broker.url()));
    String foreign = plant("foreign", ISSUER.token("bot-subject", "https://elsewhere.test"));
    String nobody = plant("nobody", ISSUER.token("nobody", broker.url()));
    for (String bad : List.of(stranger, foreign, nobody, identity + "!", MISPLACED)) {
      answers.add(Tokens.ask(broker.url(), Tokens.exchange(bad)).http().body());
      answers.add(Tokens.ask(broker.url(), Tokens.clientCredentials(bad)).http().body());
    }
    for (String parameter :
        List.of(
            "audience",
            "resource",
            "scope",
            "client_id",
            "client_secret",
            "subject_token_type",
            "grant_type",
            "requested_token_type",
            "actor_token",
            "unknown",
            MISPLACED)) {
      for (String value : List.of(MISPLACED, identity)) {
        Map<String, String> form = Tokens.clientCredentials(identity);
        form.put(parameter, value);
        Answer answer = Tokens.ask(broker.url(), form);
        if (answer.hasToken()) {
          plant("token " + parameter + value.length(), answer.token());
        } else {
          answers.add(answer.http().body());
        }
        form = Tokens.exchange(identity);
        form.put(parameter, value);
        answer = Tokens.ask(broker.url(), form);
        if (answer.hasToken()) {
          plant("exchanged " + parameter + value.length(), answer.token());
        } else {
          answers.add(answer.http().body());
        }
      }
    }
    for (String path : List.of("/oauth2/revoke", "/oauth2/introspect")) {
      for (String token : List.of(identity, MISPLACED, bound.token())) {
        answers.add(
            Tokens.post(broker.api(path), Map.of("token", token, "client_assertion", identity))
                .http()
                .body());
      }
    }
  }

  private void goodAndBadUses(RunningBroker broker) throws Exception {
    String identity = ISSUER.token("bot-subject", broker.url());
    String token = Tokens.ask(broker.url(), Tokens.exchange(identity)).token();
    plant("identity of the user", identity);
    plant("access token", token);
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<String> good = use(client, broker, "/d/openai/v1/x", "Bearer " + token);
      assertThat(good.statusCode()).as(good.body()).isEqualTo(200);
      assertThat(good.body()).startsWith("you sent");
      use(client, broker, "/d/nowhere/v1/x", "Bearer " + token);
      use(client, broker, "/d/openai/v1/../x", "Bearer " + token);
      use(client, broker, "/d/openai/v1/x", "Bearer " + token + "x");
      use(client, broker, "/d/openai/v1/x", "Bearer " + identity);
      use(client, broker, "/d/openai/v1/x", "Basic " + MISPLACED);
      use(client, broker, "/d/openai/v1/x?key=" + MISPLACED, "Bearer " + token);
    }
  }

  private void goodAndBadAdminRequests(RunningBroker broker) throws Exception {
    try (HttpClient client = HttpClient.newHttpClient()) {
      for (String bearer : List.of(BOOTSTRAP, BOOTSTRAP + "x", MISPLACED)) {
        for (String path :
            List.of("/admin/v1/agents", "/admin/v1/destinations/openai", "/admin/v1/audit")) {
          keep(
              client.send(
                  HttpRequest.newBuilder(broker.api(path))
                      .header("Authorization", "Bearer " + bearer)
                      .build(),
                  BodyHandlers.ofString()));
        }
      }
    }
  }

  /** Command lines and file names hold secrets, and a sensor reports them. */
  private void goodAndBadSignals(RunningBroker broker) throws Exception {
    String event = plant("security event", ISSUER.token("bot-subject", broker.url()));
    String falco =
        """
        {"output":"curl -H %1$s","priority":"Error","rule":"Shell","time":"2026-11-24T12:00:00Z","source":"k8s_audit",
         "hostname":"%1$s","tags":["%1$s"],"output_fields":{"proc.cmdline":"curl -H %1$s","fd.name":"/tmp/%1$s",
         "evt.type":"%1$s","container.id":"%1$s","k8s.ns.name":"a","k8s.pod.name":"%1$s","ka.user.name":"%1$s"}}
        """
            .formatted(MISPLACED);
    String tetragon =
        """
        {"process_exec":{"process":{"binary":"/tmp/%1$s","arguments":"%1$s","pod":{"namespace":"a","name":"%1$s",
         "container":{"id":"%1$s"}}},"function_name":"%1$s ","args":[{"string_arg":"%1$s"}]}}
        """
            .formatted(MISPLACED);
    new Policies(broker)
        .write(
            "issuer",
            "cluster",
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            "cluster",
            ISSUER.spec().replace("oidc", "kubernetes").replace("ci.test", "cluster.test"),
            "https://cluster.test")
        .await(broker);
    try (HttpClient client = HttpClient.newHttpClient()) {
      for (String body :
          List.of(
              falco,
              falco.replace("k8s_audit", "syscall"),
              tetragon,
              falco.replace("\"Error\"", "\"" + MISPLACED + "\""),
              falco.replace("2026-11-24T12:00:00Z", MISPLACED),
              MISPLACED)) {
        answers.add(
            send(client, broker, BOOTSTRAP, "application/json", body).headers().map().toString());
      }
      assertThat(send(client, broker, BOOTSTRAP, "application/json", falco).statusCode())
          .isEqualTo(202);
      for (String bearer : List.of(MISPLACED, event)) {
        send(client, broker, bearer, "application/json", falco);
        send(client, broker, bearer, "application/secevent+jwt", event);
        send(client, broker, bearer, "application/secevent+jwt", MISPLACED);
      }
    }
  }

  private HttpResponse<String> send(
      HttpClient client, RunningBroker broker, String bearer, String type, String body)
      throws Exception {
    return keep(
        client.send(
            HttpRequest.newBuilder(broker.api("/admin/v1/signals?issuer=cluster"))
                .header("Authorization", "Bearer " + bearer)
                .header("Content-Type", type)
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build(),
            BodyHandlers.ofString()));
  }

  private HttpResponse<String> use(
      HttpClient client, RunningBroker broker, String path, String authorization) throws Exception {
    HttpResponse<String> response =
        client.send(
            HttpRequest.newBuilder(broker.gateway(path))
                .header("Authorization", authorization)
                .build(),
            BodyHandlers.ofString());
    return keep(response);
  }

  private HttpResponse<String> keep(HttpResponse<String> response) {
    answers.add(response.headers().map() + "\n" + response.body());
    return response;
  }

  /** Every row of every table, as text. */
  private static String dump(RunningBroker broker) throws Exception {
    StringBuilder all = new StringBuilder();
    try (var database = broker.database()) {
      List<String> tables = new ArrayList<>();
      try (var rows =
          database
              .createStatement()
              .executeQuery(
                  "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename)"
                      + " FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%'"
                      + " AND schemaname <> 'information_schema'")) {
        while (rows.next()) {
          tables.add(rows.getString(1));
        }
      }
      assertThat(tables).hasSizeGreaterThan(10);
      for (String table : tables) {
        try (var rows =
            database.createStatement().executeQuery("SELECT t::text FROM " + table + " t")) {
          while (rows.next()) {
            all.append(rows.getString(1)).append('\n');
          }
        }
      }
    }
    assertThat(all).contains("bot-subject").contains("token.issue");
    return all.toString();
  }

  private void requireNone(String where, String text) {
    canaries.forEach((what, canary) -> {
      int at = text.indexOf(canary);
      String around =
          at < 0 ? "" : text.substring(Math.max(0, at - 600), Math.min(text.length(), at + 60));
      assertThat(at).as("%s in %s: …%s…", what, where, around).isNegative();
    });
  }
}
