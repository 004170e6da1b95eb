package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What a broker really sends is what the schemas say: ours, and those of OCSF. Invariant: E7. */
class EventFormatsTest {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static final SchemaRegistry SCHEMAS =
      SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);
  private static final Schema OURS = schema("../docs/reference/audit-event.schema.json");
  private static final Map<Integer, Schema> OCSF =
      Map.of(
          0, schema("../testdata/ocsf/base_event.schema.json"),
          3002, schema("../testdata/ocsf/authentication.schema.json"),
          6003, schema("../testdata/ocsf/api_activity.schema.json"));

  @TempDir Path folder;

  private static Schema schema(String file) {
    try {
      return SCHEMAS.getSchema(Files.readString(Path.of(file)));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void everyEvent_isValidInBothForms() throws Exception {
    List<JsonNode> received = new CopyOnWriteArrayList<>();
    Path file = folder.resolve("audit.json");
    try (ServerSocket syslog = syslog(received);
        EchoUpstream upstream = new EchoUpstream(folder);
        RunningBroker broker =
            RunningBroker.start(upstream.settings("valetkey.audit.checkpoint-interval", "1s"))) {
      Map<String, String> sinks =
          Map.of(
              "valetkey.audit.sinks.file", file.toString(),
              "valetkey.audit.sinks.stdout", "true",
              "valetkey.audit.sinks.syslog.address", "127.0.0.1:" + syslog.getLocalPort(),
              "valetkey.audit.sinks.syslog.tls", "false",
              "valetkey.audit.sinks.syslog.format", "ocsf");
      doAllSorts(broker, upstream);
      try (BrokerProcess feeding = BrokerProcess.replica(broker, folder, sinks)) {
        int records = written(broker);
        List<JsonNode> lines = List.of();
        List<JsonNode> printed = List.of();
        for (int i = 0; i < 300 && !(isAll(lines, records) && isAll(printed, records)); i++) {
          Thread.sleep(100);
          lines = Files.exists(file) ? events(Files.readString(file)) : List.of();
          printed = events(feeding.log());
        }
        requireOurs(lines, records);
        requireOurs(printed, records);
        requireOcsf(received, lines);
      }
    }
  }

  private static int written(RunningBroker broker) throws Exception {
    try (Connection owner = broker.database();
        var row = owner.createStatement().executeQuery("SELECT count(*) FROM audit_record")) {
      row.next();
      return row.getInt(1);
    }
  }

  private static boolean isAll(List<JsonNode> events, int records) {
    return events.stream().filter(e -> e.get("type").stringValue().equals("record")).count()
            >= records
        && events.stream().anyMatch(e -> e.get("type").stringValue().equals("checkpoint"));
  }

  private static List<JsonNode> events(String text) {
    return text.lines()
        .filter(line -> line.startsWith("{\"schema\":") && line.endsWith("}"))
        .map(JSON::readTree)
        .toList();
  }

  private static void requireOurs(List<JsonNode> events, int records) {
    assertThat(isAll(events, records)).isTrue();
    for (JsonNode event : events) {
      assertThat(OURS.validate(event.toString(), InputFormat.JSON)).as("%s", event).isEmpty();
    }
    assertThat(events.stream().map(e -> e.path("action").asString()))
        .contains("token.issue", "gateway.request", "stop.create", "stop.lift", "admin.request");
  }

  /** Each record comes in both forms, in one under the hash of the other. */
  private static void requireOcsf(List<JsonNode> received, List<JsonNode> ours) throws Exception {
    Map<String, JsonNode> records =
        ours.stream()
            .filter(event -> event.has("hash"))
            .collect(Collectors.toMap(e -> e.get("hash").stringValue(), Function.identity()));
    for (int i = 0; i < 100 && received.size() < ours.size(); i++) {
      Thread.sleep(100);
    }
    for (JsonNode event : received) {
      int type = event.get("class_uid").intValue();
      assertThat(OCSF.get(type).validate(event.toString(), InputFormat.JSON))
          .as("%s", event)
          .isEmpty();
      if (type != 0) {
        JsonNode same = records.remove(event.at("/metadata/uid").stringValue());
        assertThat(event.at("/metadata/event_code")).isEqualTo(same.get("action"));
      }
    }
    assertThat(records).isEmpty();
    assertThat(
            received.stream().map(e -> e.get("class_uid").intValue()).collect(Collectors.toSet()))
        .isEqualTo(Set.of(0, 3002, 6003));
  }

  private static void doAllSorts(RunningBroker broker, EchoUpstream upstream) throws Exception {
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot-subject", "")
        .destination("openai", upstream.destination())
        .scope("openai", "chat", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/v1/**\"]}]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .await(broker);
    try (HttpClient client = HttpClient.newHttpClient()) {
      Map<String, String> form = Tokens.exchange(ISSUER.token("bot-subject", broker.url()));
      String token = Tokens.ask(broker.url(), form).token();
      String gateway = broker.gatewayUrl() + "/d/openai";
      assertThat(EchoUpstream.use(client, gateway + "/v1/x", token).statusCode()).isEqualTo(200);
      assertThat(EchoUpstream.use(client, gateway + "/no", token).statusCode()).isEqualTo(403);
      URI stops = broker.api("/admin/v1/stops");
      String stop = "{\"target\":{\"agent\":\"bot\"},\"reason\":\"a \\\"test\\\"\"}";
      assertThat(admin(client, stops, "nobody", "POST", stop).statusCode()).isEqualTo(401);
      var made = admin(client, stops, RunningBroker.BOOTSTRAP_TOKEN, "POST", stop);
      String id = JSON.readTree(made.body()).get("id").stringValue();
      assertThat(Tokens.ask(broker.url(), form).status()).isNotEqualTo(200);
      URI lift = broker.api("/admin/v1/stops/" + id);
      String over = "{\"reason\":\"over\"}";
      assertThat(admin(client, lift, RunningBroker.BOOTSTRAP_TOKEN, "DELETE", over).statusCode())
          .isLessThan(300);
      Tokens.Answer foreign = Tokens.ask(broker.url(), Map.of("grant_type", "none"));
      assertThat(foreign.status()).isEqualTo(400);
      assertThat(foreign.error()).isEqualTo("unsupported_grant_type");
    }
  }

  private static HttpResponse<String> admin(
      HttpClient client, URI uri, String token, String method, String body) throws Exception {
    return client.send(
        HttpRequest.newBuilder(uri)
            .header("Authorization", "Bearer " + token)
            .header("Content-Type", "application/json")
            .method(method, BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  /** A receiver of RFC 6587: plain TCP, and frames that begin with their length. */
  private static ServerSocket syslog(List<JsonNode> received) throws IOException {
    ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
    Thread.ofVirtual()
        .start(() -> {
          try (Socket socket = server.accept();
              var in = new DataInputStream(socket.getInputStream())) {
            while (true) {
              StringBuilder length = new StringBuilder();
              for (int c = in.readUnsignedByte(); c != ' '; c = in.readUnsignedByte()) {
                length.append((char) c);
              }
              byte[] frame = new byte[Integer.parseInt(length.toString())];
              in.readFully(frame);
              String message = new String(frame, StandardCharsets.UTF_8);
              assertThat(message).matches("(?s)<1(10|08)>1 \\S+ \\S+ valetkey - audit - \\{.*");
              received.add(JSON.readTree(message.substring(message.indexOf('{'))));
            }
          } catch (IOException e) {
            // The broker has ended.
          }
        });
    return server;
  }
}
