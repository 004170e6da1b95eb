package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.problem.ProblemCode;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** HTTP/2 of callers, frame by frame. Invariants: G18, G7. */
@Timeout(60)
class Http2Test {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private TestUpstream upstream;
  private TestGateway gateway;
  private TestHttp2 caller;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid("upstream.test"),
            (request, out) -> TestUpstream.ok(out, "<" + request.text() + ">"));
    gateway =
        new TestGateway(upstream.port(), CERTIFICATES.trust(), CERTIFICATES.validKeys("localhost"));
    caller = TestHttp2.open(gateway.server.port(), CERTIFICATES.trusting());
  }

  @AfterEach
  void stop() throws Exception {
    caller.close();
    gateway.close();
    upstream.close();
  }

  @Test
  void request_isCarriedOut() throws Exception {
    TestHttp2.Answer answer = caller.answer(caller.request(true, "GET", "/d/up/v1/a"));

    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo("<>");
    assertThat(answer.isComplete()).isTrue();
  }

  @Test
  void body_isCarriedOut() throws Exception {
    int stream = caller.request(false, "POST", "/d/up/v1/a");
    caller.data(stream, false, "abc");
    caller.data(stream, true, "def");

    assertThat(caller.answer(stream).body()).isEqualTo("<abcdef>");
  }

  @Test
  void bodyThatIsThereBeforeTheDecision_isCarriedOut() throws Exception {
    int stream = caller.request(false, "POST", "/d/up/v1/a", "content-length", "3");
    caller.data(stream, true, "abc");

    assertThat(caller.answer(stream).body()).isEqualTo("<abc>");
    assertThat(upstream.requests.getFirst().values("content-length")).containsExactly("3");
  }

  @Test
  void bodyOfAnotherLengthThanDeclared_isReset_andNeverWholeAtTheUpstream() throws Exception {
    var whole = new CopyOnWriteArrayList<String>();
    upstream.script =
        (request, out) -> {
          String body = request.text();
          if (body.length() == 3) {
            whole.add(body);
          }
          TestUpstream.ok(out, body);
        };
    for (String[] parts :
        new String[][] {{"ab"}, {"abcd"}, {"ab", "c", ""}, {"ab", "cd"}, {"a", "b"}}) {
      int stream = caller.request(false, "POST", "/d/up/v1/a", "content-length", "3");
      for (int i = 0; i < parts.length; i++) {
        caller.data(stream, i == parts.length - 1, parts[i]);
      }
      TestHttp2.Answer answer = caller.answer(stream);
      if (String.join("", parts).length() == 3) {
        assertThat(answer.body()).isEqualTo("abc");
      } else {
        assertThat(answer.reset()).as(answer.toString()).isEqualTo(1);
      }
    }
    assertThat(whole).containsExactly("abc");
  }

  @Test
  void refusal_endsItsStreamOnly() throws Exception {
    int open = caller.request(false, "POST", "/d/up/v1/a");
    for (String path : new String[] {"/d/up/v2", "/d/up/v1/../a", "/d/nobody/v1/a", "/x"}) {
      TestHttp2.Answer refused = caller.answer(caller.request(true, "GET", path));
      assertThat(refused.status()).isIn(400, 403, 404);
      assertThat(refused.header("valetkey-error")).isNotNull();
      assertThat(refused.header("connection")).isNull();
    }
    caller.data(open, true, "abc");
    assertThat(caller.answer(open).body()).isEqualTo("<abc>");
  }

  @Test
  void refusalOfABody_asksNotToSendIt() throws Exception {
    int stream = caller.request(false, "POST", "/d/up/v2");

    TestHttp2.Answer answer = caller.answer(stream);
    assertThat(answer.status()).isEqualTo(403);
    TestHttp2.Frame after = caller.next(stream);
    assertThat(after.type()).isEqualTo(TestHttp2.RST_STREAM);
    assertThat(after.code()).isZero();
    assertThat(caller.answer(caller.request(true, "GET", "/d/up/v1/a")).status()).isEqualTo(200);
  }

  @Test
  void headThatHasTwoReadings_isRefusedOnRecord() throws Exception {
    String[][] heads = {
      {":authority", "localhost", "host", "other.test"},
      {":authority", "localhost", "host", "localhost", "host", "localhost"},
      {":authority", "a@localhost"},
      {"x_a", "1", ":authority", "localhost"},
      {":authority", "localhost", "x-a", "\u00011"},
      {":authority", "localhost", "x-a", " 1"},
      {":authority", "localhost", "content-length", "1", "content-length", "1"},
      {":authority", "localhost", "upgrade", "websocket"},
      {":authority", "localhost", "connection", "close"},
      {":authority", "localhost", "keep-alive", "1"},
      {":authority", "localhost", "proxy-connection", "x"},
      {":authority", "localhost", "transfer-encoding", "chunked"},
      {":authority", "localhost", "te", "gzip"},
      {":authority", "localhost", "X-A", "1"},
      {":authority", "localhost", ":other", "1"},
      {":authority", "localhost", ":status", "200"},
      {":authority", "localhost", ":protocol", "websocket"},
      {":authority", "localhost", ":path", "/d/up/v1/b"},
      {},
    };
    for (String[] head : heads) {
      List<String> fields =
          new ArrayList<>(List.of(":method", "GET", ":scheme", "https", ":path", "/d/up/v1/a"));
      fields.addAll(List.of(head));
      fields.addAll(List.of("authorization", "Bearer good"));
      try (TestHttp2 one = TestHttp2.open(gateway.server.port(), CERTIFICATES.trusting())) {
        int before = gateway.records.size();
        TestHttp2.Answer answer = one.answer(one.begin(true, fields.toArray(String[]::new)));
        assertThat(answer.status() == 400 || answer.reset() == 1)
            .as(fields + " " + answer)
            .isTrue();
        await().until(() -> gateway.records.size() > before);
      }
    }
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void scheme_mustBeHttps() throws Exception {
    int stream =
        caller.begin(
            true,
            ":method",
            "GET",
            ":scheme",
            "http",
            ":authority",
            "localhost",
            ":path",
            "/d/up/v1/a",
            "authorization",
            "Bearer good");
    assertThat(caller.answer(stream).status()).isEqualTo(400);
  }

  @Test
  void stop_cutsItsStreamAndRecordsIt_andTheOthersGoOn() throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(
              out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
          if (!request.requestLine().contains("/v1/stopped")) {
            TestUpstream.raw(out, request.text() + "3\r\ndef\r\n0\r\n\r\n");
          } else {
            Thread.sleep(30_000);
          }
        };
    int other = caller.request(false, "POST", "/d/up/v1/other");
    int stopped =
        caller.begin(
            true,
            ":method",
            "GET",
            ":scheme",
            "https",
            ":authority",
            "localhost",
            ":path",
            "/d/up/v1/stopped",
            "authorization",
            "Bearer good-2");
    while (caller.next(stopped).type() != TestHttp2.DATA) {
      // The head comes first.
    }

    assertThat(gateway.live.cut(e -> e.caller().jti().endsWith("good-2"))).isEqualTo(1);

    TestHttp2.Frame cut = caller.next(stopped);
    assertThat(cut.type()).isEqualTo(TestHttp2.RST_STREAM);
    assertThat(cut.code()).isEqualTo(8);
    await()
        .untilAsserted(() ->
            assertThat(gateway.records).anyMatch(record -> record.code() == ProblemCode.STOPPED));
    caller.data(other, true, "");
    assertThat(caller.answer(other).isComplete()).isTrue();
  }

  @Test
  void upstreamThatBreaksOff_doesNotLookComplete() throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(
              out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
          throw new java.io.IOException("as the test wants");
        };
    TestHttp2.Answer answer = caller.answer(caller.request(true, "GET", "/d/up/v1/a"));

    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.reset()).isEqualTo(2);
    assertThat(caller.answer(caller.request(true, "GET", "/d/up/v2")).status()).isEqualTo(403);
  }

  @Test
  void callerThatResets_endsItsExchange() throws Exception {
    upstream.script = (request, out) -> Thread.sleep(30_000);
    int stream = caller.request(true, "GET", "/d/up/v1/a");
    await().until(() -> !upstream.requests.isEmpty());

    caller.frame(TestHttp2.RST_STREAM, 0, stream, new byte[] {0, 0, 0, 8});

    await().until(() -> gateway.live.size() == 0);
  }

  @Test
  void rapidReset_endsTheConnection() throws Exception {
    upstream.script = (request, out) -> Thread.sleep(30_000);
    assertThat(
            flood(() -> {
              int stream = caller.request(true, "GET", "/d/up/v1/a");
              caller.frame(TestHttp2.RST_STREAM, 0, stream, new byte[] {0, 0, 0, 8});
            }))
        .isIn(11, -1);
    await().until(() -> gateway.live.size() == 0);
  }

  @Test
  void pings_endTheConnection() throws Exception {
    assertThat(flood(() -> caller.frame(TestHttp2.PING, 0, 0, new byte[8]))).isIn(11, -1);
  }

  @Test
  void settings_endTheConnection() throws Exception {
    assertThat(flood(() -> caller.frame(TestHttp2.SETTINGS, 0, 0, new byte[0]))).isIn(11, -1);
  }

  @Test
  void emptyData_endsTheConnection() throws Exception {
    int stream = caller.request(false, "POST", "/d/up/v1/a");
    assertThat(flood(() -> caller.data(stream, false, ""))).isIn(11, -1);
    await().until(() -> gateway.live.size() == 0);
  }

  @Test
  void continuations_endTheConnection() throws Exception {
    caller.frame(TestHttp2.HEADERS, 0, 1, TestHttp2.block(":method", "GET"));
    assertThat(flood(() -> caller.frame(TestHttp2.CONTINUATION, 0, 1, new byte[0]))).isIn(11, -1);
  }

  @Test
  void headersThatAreTooLarge_areRefused() throws Exception {
    String large = "x".repeat(15_000);
    int stream = caller.request(true, "GET", "/d/up/v1/a", "a", "1");
    assertThat(caller.answer(stream).status()).isEqualTo(200);
    byte[] block = TestHttp2.block("b", large);
    caller.frame(TestHttp2.HEADERS, TestHttp2.END_STREAM, 3, TestHttp2.block(":method", "GET"));
    caller.frame(TestHttp2.CONTINUATION, 0, 3, block);
    caller.frame(TestHttp2.CONTINUATION, 0, 3, block);
    caller.frame(
        TestHttp2.CONTINUATION, TestHttp2.END_HEADERS, 3, TestHttp2.block("c", "x".repeat(5_000)));
    assertThat(caller.answer(3).status()).isEqualTo(431);
    await()
        .untilAsserted(() ->
            assertThat(gateway.records)
                .anyMatch(record -> record.code() == ProblemCode.HEADERS_TOO_LARGE));
  }

  @Test
  void streams_areBounded() throws Exception {
    upstream.script = (request, out) -> Thread.sleep(30_000);
    for (int i = 0; i < 100; i++) {
      caller.request(true, "GET", "/d/up/v1/a");
    }
    TestHttp2.Answer more = caller.answer(caller.request(true, "GET", "/d/up/v1/a"));
    assertThat(more.reset()).isEqualTo(7);
  }

  @Test
  void connectionOnWhichNothingHappens_isClosed() throws Exception {
    try (var impatient =
            new TestGateway(
                upstream.port(),
                CERTIFICATES.trust(),
                CERTIFICATES.validKeys("localhost"),
                java.time.Duration.ofMillis(500));
        TestHttp2 idle = TestHttp2.open(impatient.server.port(), CERTIFICATES.trusting())) {
      assertThat(idle.answer(idle.request(true, "GET", "/d/up/v1/a")).status()).isEqualTo(200);
      assertThat(idle.awaitEnd()).isLessThanOrEqualTo(0);
    }
  }

  @Test
  void connectionThatNeverBegins_isClosed() throws Exception {
    var socket =
        (javax.net.ssl.SSLSocket)
            CERTIFICATES
                .trusting()
                .getSocketFactory()
                .createSocket("localhost", gateway.server.port());
    try (TestHttp2 silent = TestHttp2.connect(socket)) {
      // The other side says what it bears, hears nothing, and has enough.
      assertThat(socket.getInputStream().readAllBytes()).isNotEmpty();
      assertThat(silent.awaitEnd()).isEqualTo(-1);
    }
  }

  @Test
  void leaving_lastAnswerIsFollowedByGoAway() throws Exception {
    int open = caller.request(false, "POST", "/d/up/v1/a");
    gateway.server.leave();
    assertThat(caller.answer(caller.request(true, "GET", "/d/up/v1/a")).status()).isEqualTo(200);
    caller.data(open, true, "abc");
    assertThat(caller.answer(open).body()).isEqualTo("<abc>");
    assertThat(caller.awaitEnd()).isLessThanOrEqualTo(0);
  }

  @Test
  void renewedCertificate_isShownToCallersOfHttp2Too() throws Exception {
    var renewed = CERTIFICATES.validKeys("localhost");
    gateway.server.renew(renewed);
    await()
        .until(() -> {
          try (TestHttp2 next = TestHttp2.open(gateway.server.port(), CERTIFICATES.trusting())) {
            assertThat(next.answer(next.request(true, "GET", "/d/up/v1/a")).status())
                .isEqualTo(200);
            return next.certificate().equals(TestCertificates.chain(renewed));
          }
        });
    assertThat(caller.answer(caller.request(true, "GET", "/d/up/v1/a")).status()).isEqualTo(200);
  }

  @Test
  void cleartext_isNeverSpoken() throws Exception {
    try (var plain = new TestGateway(upstream.port(), CERTIFICATES.trust());
        TestHttp caller = plain.caller()) {
      caller.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      assertThat(caller.read().status()).isEqualTo(400);
    }
    try (var plain = new TestGateway(upstream.port(), CERTIFICATES.trust());
        TestHttp caller = plain.caller()) {
      caller.send(
          "GET /d/up/v1/a HTTP/1.1\r\nHost: g\r\nx-api-key: good\r\nConnection: Upgrade,"
              + " HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
      // The offer of an upgrade may be passed over (RFC 9110 section 7.8).
      assertThat(caller.read().head()).startsWith("HTTP/1.1 200");
    }
  }

  private interface Step {
    void run() throws Exception;
  }

  /** Repeats it until the other side has had enough, and gives the code of its GOAWAY. */
  private int flood(Step step) throws Exception {
    var reader = new java.util.concurrent.FutureTask<>(caller::awaitEnd);
    Thread.ofVirtual().start(reader);
    try {
      for (int i = 0; i < 20_000 && !reader.isDone(); i++) {
        step.run();
      }
    } catch (java.io.IOException e) {
      // Closed while we wrote, as it should be.
    }
    return reader.get();
  }
}
