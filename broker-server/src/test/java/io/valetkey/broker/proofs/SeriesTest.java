package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.gateway.GatewayTelemetry;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** However many agents, paths and words there are, the metrics stay as many. Invariant: T1. */
class SeriesTest {

  private static final int AGENTS = 1000;
  private static final int SHARED = 250;

  /** With the JVM's, Boot's and 200 destinations of seven series each. */
  private static final int BOUND = 3000;

  private static final String HOSTILE = "hostile-word";
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  @TempDir private Path folder;

  @Test
  void series_areBoundedUnderAThousandAgents() throws Exception {
    try (EchoUpstream upstream = new EchoUpstream(folder);
        RunningBroker broker = RunningBroker.start(upstream.settings());
        HttpClient client = HttpClient.newHttpClient()) {
      write(broker, upstream);
      use(broker, client, 0, 60);
      hostile(broker, client, 0, 5);
      List<String> early = series(broker);
      use(broker, client, 60, AGENTS);
      hostile(broker, client, 5, 200);
      List<String> late = series(broker);

      String all = String.join("\n", late);
      assertThat(late.size()).as("series").isLessThan(BOUND);
      assertThat(late.stream().filter(s -> s.startsWith("valetkey_destination_requests_total")))
          .hasSize((GatewayTelemetry.DESTINATIONS + 1) * 5);
      assertThat(all).contains("destination=\"other\"");
      assertThat(all).doesNotContain(HOSTILE, "agent-", "subject-", "/v1/", "/admin/v1/agents/");
      assertThat(late.stream().filter(s -> !s.startsWith("valetkey_destination")).toList().size())
          .as("without destinations, whatever the number of agents")
          .isLessThanOrEqualTo(
              early.stream().filter(s -> !s.startsWith("valetkey_destination")).toList().size()
                  + 10);
      System.out.printf(
          "%d series, %d of them ours, under %d agents and %d destinations%n",
          late.size(),
          late.stream().filter(s -> s.startsWith("valetkey_")).count(),
          AGENTS,
          SHARED);
    }
  }

  private static void write(RunningBroker broker, EchoUpstream upstream) throws Exception {
    Policies policies = new Policies(broker).issuer(ISSUER);
    for (int i = 0; i < SHARED; i++) {
      policies
          .destination("dest-" + i, upstream.destination())
          .scope(
              "dest-" + i, "chat", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/v1/**\"]}]}");
    }
    for (int i = 0; i < AGENTS; i++) {
      policies
          .agent("agent-" + i, "ci", "subject-" + i, "")
          .grant("g-" + i, "agent-" + i, "dest-" + i % SHARED, List.of("chat"));
    }
    policies.await(broker);
  }

  private static void use(RunningBroker broker, HttpClient client, int from, int to)
      throws Exception {
    List<Future<?>> uses = new ArrayList<>();
    try (var pool = Executors.newFixedThreadPool(16)) {
      for (int i = from; i < to; i++) {
        int agent = i;
        uses.add(
            pool.submit(() -> {
              String destination = "dest-" + agent % SHARED;
              var form = Tokens.exchange(ISSUER.token("subject-" + agent, broker.url()));
              form.put("audience", destination);
              var token = Tokens.ask(broker.url(), form);
              assertThat(token.hasToken()).as(token.http().body()).isTrue();
              for (String path : List.of("/v1/a" + agent, "/v1/b?" + agent, "/v2/" + agent)) {
                var _ =
                    EchoUpstream.use(
                        client, broker.gatewayUrl() + "/d/" + destination + path, token.token());
              }
              return null;
            }));
      }
      for (Future<?> use : uses) {
        use.get();
      }
    }
  }

  /** Words of the caller's in every place where one may stand. */
  private static void hostile(RunningBroker broker, HttpClient client, int from, int to)
      throws Exception {
    for (int i = from; i < to; i++) {
      String word = HOSTILE + i;
      var form = Tokens.exchange(word);
      form.put("audience", word);
      form.put("scope", word);
      var _ = Tokens.ask(broker.url(), form, "User-Agent", word);
      var _ = EchoUpstream.use(client, broker.gatewayUrl() + "/d/" + word + "/" + word, word);
      for (String url :
          List.of(
              broker.url() + "/" + word,
              broker.url() + "/admin/v1/agents/" + word,
              broker.url() + "/v1/leases/" + word,
              broker.url() + "/v1/aws-credentials/" + word,
              broker.managementUrl() + "/actuator/" + word)) {
        var _ = Tokens.raw(URI.create(url));
      }
      raw(broker.url(), word + " / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      raw(
          broker.url(),
          word.replace("-", "").toUpperCase(java.util.Locale.ROOT)
              + " /oauth2/token HTTP/1.1\r\nHost: "
              + word
              + "\r\nConnection: close\r\n\r\n");
      raw(
          broker.gatewayUrl(),
          word.replace("-", "").toUpperCase(java.util.Locale.ROOT)
              + " /d/x/y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
  }

  private static void raw(String url, String request) throws Exception {
    try (Socket socket = new Socket("127.0.0.1", URI.create(url).getPort())) {
      socket.setSoTimeout(5000);
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
      InputStream answer = socket.getInputStream();
      var _ = answer.readAllBytes();
    }
  }

  private static List<String> series(RunningBroker broker) throws Exception {
    return Tokens.raw(URI.create(broker.managementUrl() + "/actuator/prometheus"))
        .lines()
        .filter(line -> !line.startsWith("#") && !line.isBlank())
        .map(line -> line.substring(0, line.lastIndexOf(' ')))
        .toList();
  }
}
