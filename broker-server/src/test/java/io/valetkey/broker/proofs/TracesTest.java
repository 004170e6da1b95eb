package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.opentelemetry.proto.trace.v1.Span;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.proofs.Tokens.Answer;
import java.net.http.HttpClient;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** Requests arrive as traces at a real receiver, in names only. Invariant: T2. */
class TracesTest {

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static final String TRACE = "0af7651916cd43dd8448eb211c80319c";
  private static final String TRACEPARENT = "00-" + TRACE + "-b7ad6b7169203331-01";

  @TempDir private Path folder;
  private OtlpReceiver receiver;
  private EchoUpstream upstream;
  private RunningBroker broker;
  private HttpClient client;
  private String identity;

  @BeforeEach
  void start() throws Exception {
    receiver = new OtlpReceiver();
    upstream = new EchoUpstream(folder);
    broker =
        RunningBroker.start(
            upstream.settings(
                "valetkey.tracing.otlp-endpoint",
                receiver.endpoint(),
                "valetkey.tracing.sample-percent",
                "100"));
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot-subject", "")
        .destination("openai", upstream.destination())
        .scope("openai", "chat", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/v1/**\"]}]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .await(broker);
    client = HttpClient.newHttpClient();
    identity = ISSUER.token("bot-subject", broker.url());
  }

  @AfterEach
  void stop() {
    client.close();
    broker.close();
    upstream.close();
    receiver.close();
  }

  private Answer token(String... headers) throws Exception {
    return Tokens.ask(broker.url(), Tokens.exchange(identity), headers);
  }

  private HttpResponse<String> use(String path, String token, String... fields) throws Exception {
    return EchoUpstream.use(client, broker.gatewayUrl() + path, token, fields);
  }

  /** The decision id of the latest record of this kind that was granted. */
  private String recorded(String action) throws Exception {
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT decision_id FROM audit_record WHERE outcome = 'granted' AND action = '"
                        + action
                        + "' ORDER BY time DESC LIMIT 1")) {
      assertThat(rows.next()).isTrue();
      return rows.getString(1);
    }
  }

  @Test
  void requests_arriveAsTracesWithTheDecisionIdThatTheCallerWasTold() throws Exception {
    Answer answer = token();
    Span issued = receiver.await(recorded("token.issue"));
    assertThat(receiver.stepsOf(issued))
        .containsExactly("identity", "decision", "claim", "mint", "record");
    assertThat(OtlpReceiver.attributes(issued))
        .containsEntry("valetkey.agent", "bot")
        .containsEntry("valetkey.destination", "openai")
        .containsEntry("valetkey.outcome", "granted");

    assertThat(use("/d/openai/v1/x?secret=canary-query-31", answer.token()).statusCode())
        .isEqualTo(200);
    Span used = receiver.await(recorded("gateway.request"));
    assertThat(receiver.stepsOf(used))
        .containsSubsequence(
            "guard",
            "verify_token",
            "authorise",
            "resolve",
            "fetch_credential",
            "connect",
            "upstream",
            "stream");
    assertThat(OtlpReceiver.attributes(used))
        .containsEntry("http.request.method", "GET")
        .containsEntry("http.response.status_code", "200")
        .containsEntry("valetkey.agent", "bot");

    HttpResponse<String> refused = use("/d/openai/v2/canary-path-77", answer.token());
    assertThat(refused.statusCode()).isEqualTo(403);
    String told = JsonMapper.shared().readTree(refused.body()).path("decision_id").asString();
    Span refusal = receiver.await(told);
    assertThat(OtlpReceiver.attributes(refusal))
        .containsEntry("valetkey.outcome", "refused")
        .containsEntry("valetkey.reason", "insufficient_scope");

    broker.close();
    String signature = answer.token().substring(answer.token().lastIndexOf('.') + 1);
    assertThat(receiver.raw())
        .contains("gateway.request")
        .doesNotContain(
            "canary-",
            EchoUpstream.CREDENTIAL,
            signature,
            identity.substring(identity.lastIndexOf('.') + 1),
            "bot-subject");
  }

  @Test
  void traceOfTheCaller_isALinkAndNeverOurs_andDoesNotGoUpstream() throws Exception {
    Answer answer = token("traceparent", TRACEPARENT);
    Span issued = receiver.await(recorded("token.issue"));
    assertThat(hex(issued.getTraceId().toByteArray())).isNotEqualTo(TRACE);
    assertThat(issued.getLinksList())
        .singleElement()
        .satisfies(link -> assertThat(hex(link.getTraceId().toByteArray())).isEqualTo(TRACE));
    HttpResponse<String> used =
        use(
            "/d/openai/v1/x",
            answer.token(),
            "traceparent",
            TRACEPARENT,
            "tracestate",
            "vendor=1",
            "baggage",
            "user=7",
            "X-B3-TraceId",
            TRACE);
    assertThat(used.statusCode()).isEqualTo(200);
    assertThat(upstream.saw).hasSize(1);
    assertThat(upstream.saw.getFirst().keySet())
        .noneMatch(
            name -> name.toLowerCase(java.util.Locale.ROOT).matches("trace.*|baggage|x-b3.*"));
  }

  @Test
  void hostileTraceparent_breaksNothing() throws Exception {
    for (String hostile :
        List.of(
            "",
            "00",
            "ff-" + TRACE + "-b7ad6b7169203331-01",
            "00-0-0-00",
            "x".repeat(4000),
            "00-%s".formatted(TRACE),
            "${jndi:x}")) {
      Answer answer = token("traceparent", hostile);
      assertThat(answer.hasToken()).as(hostile).isTrue();
      assertThat(use("/d/openai/v1/x", answer.token(), "traceparent", hostile).statusCode())
          .isEqualTo(200);
    }
    receiver.await(recorded("token.issue"));
    assertThat(receiver.spans()).allMatch(span -> span.getLinksCount() == 0);
  }

  @Test
  void collectorThatIsAway_costsNoRequestAnything() throws Exception {
    receiver.close();
    for (int i = 0; i < 20; i++) {
      Answer answer = token();
      assertThat(answer.hasToken()).isTrue();
      assertThat(answer.took().toMillis()).isLessThan(2000);
    }
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
