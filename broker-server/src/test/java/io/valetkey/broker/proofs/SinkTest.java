package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.TestAuthority;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A receiver dies, the broker that feeds it is killed, and nothing is lost. Invariants: E4, E5. */
class SinkTest {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final TestIssuer ISSUER = new TestIssuer("ci");

  private static final Pattern EVENT =
      Pattern.compile("\\{\"schema\":\"valetkey.audit/1\".*?\"(hash|jws)\":\"[^\"]+\"\\}");

  @TempDir Path folder;
  private final TestAuthority authority = TestAuthority.create("receiver");
  private final List<JsonNode> posted = new CopyOnWriteArrayList<>();
  private final List<JsonNode> logged = new CopyOnWriteArrayList<>();
  private final List<JsonNode> exported = new CopyOnWriteArrayList<>();
  private final List<String> wrong = new CopyOnWriteArrayList<>();

  @Test
  void receiverThatDies_holdsNobodyUpAndMissesNothing() throws Exception {
    Path trust = authority.writePem(folder);
    Path hmac = Files.writeString(folder.resolve("hmac"), "a key for signatures\n");
    Path bearer = Files.writeString(folder.resolve("bearer"), "a-token\n");
    int port = RunningBroker.freePort();
    HttpsServer webhook = webhook(port);
    try (RunningBroker broker = RunningBroker.start(Map.of());
        ServerSocket syslog = syslog()) {
      Tokens.writeOneAgent(broker, ISSUER);
      var settings = new HashMap<String, String>();
      settings.put("valetkey.audit.checkpoint-interval", "1s");
      settings.put("valetkey.audit.sinks.webhook.url", "https://localhost:" + port + "/audit");
      settings.put("valetkey.audit.sinks.webhook.trusted-certificates", trust.toString());
      settings.put("valetkey.audit.sinks.webhook.bearer-file", bearer.toString());
      settings.put("valetkey.audit.sinks.webhook.hmac-file", hmac.toString());
      settings.put("valetkey.audit.sinks.syslog.address", "localhost:" + syslog.getLocalPort());
      settings.put("valetkey.audit.sinks.syslog.trusted-certificates", trust.toString());
      settings.put("valetkey.audit.sinks.otlp.url", "https://localhost:" + port + "/v1/logs");
      settings.put("valetkey.audit.sinks.otlp.trusted-certificates", trust.toString());
      settings.put("valetkey.audit.sinks.file", folder.resolve("audit.log").toString());

      try (BrokerProcess first = BrokerProcess.replica(broker, folder, settings)) {
        issue(broker, 30);
        await(() -> records(posted).size() >= 30 && records(logged).size() >= 30);
        webhook.stop(0);
        issue(broker, 60);
        await(() -> records(logged).size() >= 90);
        first.kill();
      }
      issue(broker, 30);
      webhook = webhook(port);
      try (BrokerProcess second = BrokerProcess.replica(broker, folder, settings)) {
        issue(broker, 30);
        Map<String, String> written = written(broker);
        await(() -> records(posted).size() >= written.size());
        await(() -> records(logged).size() >= written.size());
        await(() -> records(exported).size() >= written.size());
        await(
            () -> posted.stream().anyMatch(e -> e.get("type").stringValue().equals("checkpoint")));
        assertThat(second.isReady()).isTrue();

        assertThat(wrong).isEmpty();
        requireEachOnceInOrder(records(posted), written);
        requireEachOnceInOrder(records(logged), written);
        requireEachOnceInOrder(records(exported), written);
        await(() -> records(lines(folder)).size() >= written.size());
        requireEachOnceInOrder(records(lines(folder)), written);
      }
    } finally {
      webhook.stop(0);
    }
  }

  private static List<JsonNode> lines(Path folder) {
    List<JsonNode> lines = new ArrayList<>();
    try {
      for (String line : Files.readAllLines(folder.resolve("audit.log"))) {
        lines.add(JSON.readTree(line));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return lines;
  }

  /** All that a receiver has is what the database has, each record once, each writer in order. */
  private static void requireEachOnceInOrder(List<JsonNode> events, Map<String, String> written) {
    Map<String, String> received = new TreeMap<>();
    Map<String, Long> last = new HashMap<>();
    for (JsonNode event : events) {
      String id = event.get("id").stringValue();
      assertThat(received.put(id, event.get("decision_id").stringValue())).as(id).isNull();
      assertThat(event.get("schema").stringValue()).isEqualTo("valetkey.audit/1");
      String writer = id.substring(0, id.indexOf('.'));
      long seq = Long.parseLong(id.substring(id.indexOf('.') + 1));
      assertThat(seq).isEqualTo(last.getOrDefault(writer, 0L) + 1);
      last.put(writer, seq);
    }
    assertThat(received).isEqualTo(written);
  }

  private static void issue(RunningBroker broker, int tokens) throws Exception {
    Map<String, String> form = Tokens.exchange(ISSUER.token("bot-subject", broker.url()));
    Instant begin = Instant.now();
    for (int i = 0; i < tokens; i++) {
      assertThat(Tokens.ask(broker.url(), form).status()).isEqualTo(200);
    }
    assertThat(Duration.between(begin, Instant.now())).isLessThan(Duration.ofSeconds(20));
  }

  private static Map<String, String> written(RunningBroker broker) throws Exception {
    Map<String, String> written = new TreeMap<>();
    try (Connection owner = broker.database();
        var row =
            owner
                .createStatement()
                .executeQuery("SELECT writer || '.' || seq, decision_id FROM audit_record")) {
      while (row.next()) {
        written.put(row.getString(1), row.getString(2));
      }
    }
    return written;
  }

  private static List<JsonNode> records(List<JsonNode> events) {
    return events.stream().filter(e -> e.get("type").stringValue().equals("record")).toList();
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    for (int i = 0; i < 900 && !condition.getAsBoolean(); i++) {
      Thread.sleep(100);
    }
    assertThat(condition.getAsBoolean()).isTrue();
  }

  private HttpsServer webhook(int port) throws IOException {
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    server.createContext(
        "/audit",
        exchange -> {
          String body =
              new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
          String signature = exchange.getRequestHeaders().getFirst("Valetkey-Signature");
          String bearer = exchange.getRequestHeaders().getFirst("Authorization");
          if (!isGood(signature, body) || !"Bearer a-token".equals(bearer)) {
            wrong.add(signature + " " + bearer);
          }
          JSON.readTree(body).get("events").forEach(posted::add);
          exchange.sendResponseHeaders(204, -1);
          exchange.close();
        });
    server.createContext(
        "/v1/logs",
        exchange -> {
          // The bodies of the records stand in the protobuf as they are.
          String body =
              new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
          Matcher event = EVENT.matcher(body);
          while (event.find()) {
            exported.add(JSON.readTree(event.group()));
          }
          exchange.getResponseHeaders().add("Content-Type", "application/x-protobuf");
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.start();
    return server;
  }

  private static boolean isGood(String signature, String body) {
    String time = signature.substring(2, signature.indexOf(','));
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(
          new SecretKeySpec("a key for signatures".getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
      byte[] expected = mac.doFinal((time + "." + body).getBytes(StandardCharsets.UTF_8));
      return signature.endsWith("v1=" + HexFormat.of().formatHex(expected));
    } catch (java.security.GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A receiver of RFC 5425: TLS, and frames that begin with their length. */
  private ServerSocket syslog() throws IOException {
    ServerSocket server =
        authority
            .server("localhost")
            .serverContext()
            .getServerSocketFactory()
            .createServerSocket(0, 5, InetAddress.getLoopbackAddress());
    Thread.ofVirtual()
        .start(() -> {
          while (!server.isClosed()) {
            try (Socket socket = server.accept();
                var in = new DataInputStream(socket.getInputStream())) {
              while (true) {
                readFrame(in);
              }
            } catch (EOFException e) {
              // The broker was killed or closed; the next one comes.
            } catch (IOException e) {
              if (!server.isClosed() && !(e instanceof java.net.SocketException)) {
                wrong.add(e.toString());
              }
            }
          }
        });
    return server;
  }

  private void readFrame(DataInputStream in) throws IOException {
    int length = 0;
    int digit = in.readUnsignedByte();
    while (digit != ' ') {
      length = length * 10 + digit - '0';
      digit = in.readUnsignedByte();
    }
    byte[] bytes = new byte[length];
    in.readFully(bytes);
    String message = new String(bytes, StandardCharsets.UTF_8);
    if (!message.matches("(?s)<1(10|08)>1 [0-9T:.-]+Z \\S+ valetkey - audit - \\{.*")) {
      wrong.add(message);
    }
    logged.add(JSON.readTree(message.substring(message.indexOf('{'))));
  }
}
