package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.limit.Caps;
import io.valetkey.broker.limit.GrantBudgets;
import io.valetkey.broker.problem.ProblemCode;
import java.io.IOException;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** WebSockets through the whole gateway, by hand on both sides. Invariant: G13. */
@Timeout(60)
class WebSocketTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String STARS = "*".repeat(TestGateway.KEY.length());

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream = new TestUpstream(CERTIFICATES.valid("upstream.test"), TestWebSocket::echo);
    gateway =
        new TestGateway(
            upstream.port(), CERTIFICATES.trust(), Duration.ofMillis(300), Duration.ofMillis(1500));
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  @Test
  void handshake_whenAllowed_isMadeAnewWithTheCredential() throws Exception {
    upstream.script =
        (request, out) -> {
          String cookie = "Set-Cookie: a=b\r\nX-Echo: " + TestGateway.KEY + "\r\n";
          TestUpstream.raw(
              out,
              TestWebSocket.accepting(request, "Sec-WebSocket-Protocol: realtime\r\n" + cookie));
          Thread.sleep(5000);
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(
          TestWebSocket.handshake(
              "/d/up/v1/live/x?model=m&api_key=mine",
              "Sec-WebSocket-Extensions: permessage-deflate\r\nCookie: c\r\nOrigin: https://o\r\n"
                  + "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.mine, b_1\r\n"));
      TestHttp.Answer answer = caller.read(true);
      assertThat(answer.status()).isEqualTo(101);
      assertThat(answer.header("sec-websocket-accept")).isEqualTo("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
      assertThat(answer.header("sec-websocket-protocol")).isEqualTo("realtime");
      assertThat(answer.header("x-echo")).isEqualTo(STARS);
      assertThat(answer.head()).doesNotContain("Set-Cookie", "xtensions");
    }
    TestUpstream.Received seen = upstream.requests.getFirst();
    assertThat(seen.requestLine()).isEqualTo("GET /v1/live/x?model=m HTTP/1.1");
    assertThat(seen.values("authorization")).containsExactly("Bearer " + TestGateway.KEY);
    assertThat(seen.values("sec-websocket-key")).hasSize(1).doesNotContain(TestWebSocket.KEY);
    assertThat(seen.values("sec-websocket-version")).containsExactly("13");
    assertThat(seen.values("sec-websocket-protocol")).containsExactly("realtime, b_1");
    assertThat(seen.values("connection")).containsExactly("Upgrade");
    assertThat(seen.values("origin")).containsExactly("https://o");
    assertThat(seen.head().toLowerCase(Locale.ROOT))
        .doesNotContain("extensions", "cookie", "mine", "good");
  }

  @Test
  void frames_passBothWaysWholeAndCountInTheRecordOfTheEnd() throws Exception {
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      for (int length : new int[] {0, 1, 125, 126, 65535, 65536, 300_000}) {
        String payload = "x".repeat(length);
        TestWebSocket.send(caller, TestWebSocket.masked(2, true, payload));
        StringBuilder got = new StringBuilder();
        TestWebSocket.Frame frame;
        int opcode = 2;
        do {
          frame = TestWebSocket.read(caller.in);
          assertThat(frame.opcode()).isEqualTo(opcode);
          assertThat(frame.masked()).isFalse();
          got.append(frame.text());
          opcode = 0;
        } while (!frame.last());
        assertThat(got.toString()).isEqualTo(payload);
      }
      TestWebSocket.send(caller, TestWebSocket.masked(1, false, "one"));
      TestWebSocket.send(caller, TestWebSocket.masked(9, true, "ping"));
      TestWebSocket.send(caller, TestWebSocket.masked(0, true, "two"));
      assertThat(TestWebSocket.read(caller.in).text()).isEqualTo("one");
      assertThat(TestWebSocket.read(caller.in).opcode()).isEqualTo(9);
      TestWebSocket.Frame end = TestWebSocket.read(caller.in);
      assertThat(end.text()).isEqualTo("two");
      assertThat(end.last()).isTrue();
      TestWebSocket.send(caller, TestWebSocket.masked(8, true, "\u0003\u00e8bye"));
      TestWebSocket.Frame close = TestWebSocket.read(caller.in);
      assertThat(close.closeCode()).isEqualTo(1000);
      assertThat(caller.isClosed()).isTrue();
    }
    await().until(() -> gateway.records.size() == 2 && gateway.live.size() == 0);
    assertThat(gateway.records.getFirst().details())
        .containsEntry("method", "WEBSOCKET")
        .containsEntry("rule", "s:/v1/live/**");
    TestGateway.Written ended = gateway.records.getLast();
    assertThat(ended.outcome()).isEqualTo("ended");
    assertThat(ended.details())
        .containsEntry("close_code", 1000)
        .containsEntry("bytes_to_upstream", 1L + 125 + 126 + 65535 + 65536 + 300_000 + 6)
        .containsEntry("bytes_to_caller", 1L + 125 + 126 + 65535 + 65536 + 300_000 + 6)
        .containsKey("granted_as");
    await().until(() -> upstream.closedByPeer.get() == 1);
  }

  /** Nothing in it is read as usage. Invariant: D18. */
  @Test
  void modelTokens_ofWhatWasSaid_areEstimatedBySizeAtTheEnd() throws Exception {
    GrantBudgets budgets = new GrantBudgets(System::nanoTime);
    gateway.meter = budgets.begin("g", new Caps(0, 1_000_000, 0, 0));
    String said = "{\"usage\":{\"total_tokens\":1}}" + "x".repeat(970);
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      TestWebSocket.send(caller, TestWebSocket.masked(1, true, said));
      assertThat(TestWebSocket.read(caller.in).text()).isEqualTo(said);
      assertThat(budgets.estimated()).isZero();
    }
    await().until(() -> budgets.estimated() == (said.length() * 2 + 3) / 4);
    assertThat(budgets.read()).isZero();
  }

  @Test
  void everyWebSocket_isARecordOfItsOwn() throws Exception {
    for (int i = 0; i < 3; i++) {
      TestWebSocket.open(gateway).close();
    }
    await().until(() -> gateway.records.size() == 6);
    assertThat(gateway.records.stream().filter(r -> r.outcome().equals("granted"))).hasSize(3);
    assertThat(gateway.records.stream().filter(r -> r.outcome().equals("ended")))
        .allSatisfy(r -> assertThat(r.details()).containsEntry("close_code", 1006));
  }

  @Test
  void handshake_whenNoRuleSaysWebSocket_isRefused() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      TestHttp.Answer answer = caller.send(TestWebSocket.handshake("/d/up/v1/plain", "")).read();
      assertThat(answer.status()).isEqualTo(403);
      assertThat(answer.header("valetkey-error")).isEqualTo("insufficient_scope");
    }
    assertThat(upstream.connections).hasValue(0);
    assertThat(gateway.fetches).hasValue(0);
    assertThat(gateway.records.getFirst().details()).containsEntry("method", "WEBSOCKET");
  }

  @TestFactory
  Stream<DynamicTest> handshake_whenItIsNotExactlyOne_isRefused() {
    String right = TestWebSocket.handshake("/d/up/v1/live/x", "");
    return Map.ofEntries(
            Map.entry("h2c and websocket", right.replace("websocket", "h2c, websocket")),
            Map.entry("other token", right.replace("Upgrade: websocket", "Upgrade: tls/1.2")),
            Map.entry("two Upgrade", right.replace("Host", "Upgrade: h2c\r\nHost")),
            Map.entry("version", right.replace("websocket\r\n", "websocket/13\r\n")),
            Map.entry("no Connection", right.replace("Connection: Upgrade\r\n", "")),
            Map.entry("keep-alive too", right.replace("n: Upgrade", "n: Upgrade, keep-alive")),
            Map.entry("Connection names more", right.replace("n: Upgrade", "n: Upgrade, Host")),
            Map.entry("two Connection", right.replace("Host", "Connection: Upgrade\r\nHost")),
            Map.entry("no version", right.replace("Sec-WebSocket-Version: 13\r\n", "")),
            Map.entry("version 8", right.replace("Version: 13", "Version: 8")),
            Map.entry("version list", right.replace("Version: 13", "Version: 13, 8")),
            Map.entry("no key", right.replaceAll("Sec-WebSocket-Key: .*\r\n", "")),
            Map.entry("short key", right.replace(TestWebSocket.KEY, "c2hvcnQ=")),
            Map.entry("long key", right.replace(TestWebSocket.KEY, "A".repeat(24))),
            Map.entry("unpadded key", right.replace("==\r\n", "\r\n")),
            Map.entry("key with rest bits", right.replace("ZQ==", "ZR==")),
            Map.entry("two keys", right.replace("Host", "Sec-WebSocket-Key: x\r\nHost")),
            Map.entry("accept", right.replace("Host", "Sec-WebSocket-Accept: x\r\nHost")),
            Map.entry("length 0", right.replace("Host", "Content-Length: 0\r\nHost")),
            Map.entry("expect", right.replace("Host", "Expect: 100-continue\r\nHost")),
            Map.entry("POST", right.replace("GET ", "POST ")),
            Map.entry("chunked", right.replace("Host", "Transfer-Encoding: chunked\r\nHost")),
            Map.entry("protocol", right.replace("Host", "Sec-WebSocket-Protocol: a b\r\nHost")),
            Map.entry(
                "protocol twice", right.replace("Host", "Sec-WebSocket-Protocol: a, a\r\nHost")),
            Map.entry("HTTP/1.0", right.replace("HTTP/1.1", "HTTP/1.0")))
        .entrySet()
        .stream()
        .map(e ->
            DynamicTest.dynamicTest(
                e.getKey(),
                () -> {
                  try (TestHttp caller = gateway.caller()) {
                    TestHttp.Answer answer = caller.send(e.getValue()).read();
                    assertThat(answer.status()).isEqualTo(400);
                    assertThat(answer.header("connection")).isEqualTo("close");
                    assertThat(caller.isClosed()).isTrue();
                  }
                  assertThat(upstream.connections).hasValue(0);
                }));
  }

  /**
   * Java's HttpClient offers it on every plain connection; RFC 9110 section 7.8: may be ignored.
   */
  @Test
  void upgradeToH2c_isIgnoredAndGoesNowhere() throws Exception {
    upstream.script = (request, out) -> TestUpstream.ok(out, "plain");
    try (TestHttp caller = gateway.caller()) {
      caller.send(
          TestGateway.get("/d/up/v1/a")
              .replace(
                  "Host",
                  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nHost"));
      assertThat(caller.read().body()).isEqualTo("plain");
    }
    assertThat(upstream.requests.getFirst().head().toLowerCase(Locale.ROOT))
        .doesNotContain("upgrade", "h2c", "http2");
  }

  @TestFactory
  Stream<DynamicTest> handshake_whenTheUpstreamsAnswerIsNotOne_givesNoTunnel() {
    return Map.of(
            "other accept", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x",
            "no accept", "Upgrade: websocket\r\nConnection: Upgrade",
            "no Upgrade", "Connection: Upgrade\r\nSec-WebSocket-Accept: @",
            "other Upgrade", "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: @",
            "no Connection", "Upgrade: websocket\r\nSec-WebSocket-Accept: @",
            "extension", "%Sec-WebSocket-Extensions: permessage-deflate",
            "protocol", "%Sec-WebSocket-Protocol: c",
            "two protocols", "%Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a",
            "body", "%Content-Length: 5")
        .entrySet()
        .stream()
        .map(e ->
            DynamicTest.dynamicTest(
                e.getKey(),
                () -> {
                  upstream.script =
                      (request, out) -> {
                        String key = request.values("sec-websocket-key").getFirst();
                        String right =
                            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: @\r\n";
                        String fields =
                            e.getValue()
                                .replace("%", right)
                                .replace("@", WebSocketHandshake.accept(key));
                        TestUpstream.raw(
                            out, "HTTP/1.1 101 Yes\r\n" + fields + "\r\n\r\n" + TestGateway.KEY);
                        Thread.sleep(2000);
                      };
                  try (TestHttp caller = gateway.caller()) {
                    caller.send(
                        TestWebSocket.handshake(
                            "/d/up/v1/live/x", "Sec-WebSocket-Protocol: a\r\n"));
                    TestHttp.Answer answer = caller.read();
                    assertThat(answer.status()).isEqualTo(502);
                    assertThat(answer.header("valetkey-error")).isEqualTo("upstream_broken");
                  }
                }));
  }

  @Test
  void handshake_whenTheUpstreamAnswersOtherwise_isAnOrdinaryAnswerAndTheEnd() throws Exception {
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out,
                "HTTP/1.1 403 No\r\nSet-Cookie: a\r\nContent-Length: 29\r\n\r\n" + TestGateway.KEY);
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestWebSocket.handshake("/d/up/v1/live/x", ""));
      TestHttp.Answer answer = caller.read();
      assertThat(answer.status()).isEqualTo(403);
      assertThat(answer.header("valetkey-error")).isNull();
      assertThat(answer.header("set-cookie")).isNull();
      assertThat(answer.header("connection")).isEqualTo("close");
      assertThat(answer.body()).isEqualTo(STARS);
      assertThat(caller.isClosed()).isTrue();
    }
    await().until(() -> upstream.closedByPeer.get() == 1);
  }

  @Test
  void switching_whenNobodyAskedForIt_isBroken() throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(
              out,
              "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  + "Sec-WebSocket-Accept: x\r\n\r\n");
          Thread.sleep(2000);
        };
    try (TestHttp caller = gateway.caller()) {
      assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().status()).isEqualTo(502);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"frames", "fragments", "pieces", "messages"})
  void echo_howeverItIsCut_isScrubbed(String cut) throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, TestWebSocket.accepting(request, ""));
          String body = "key " + TestGateway.KEY + "!";
          switch (cut) {
            case "frames" -> out.write(TestWebSocket.plain(1, true, body));
            case "pieces" -> {
              for (byte b : TestWebSocket.plain(1, true, body)) {
                out.write(b);
                out.flush();
              }
            }
            default -> {
              for (int i = 0; i < body.length(); i += 3) {
                boolean whole = cut.equals("messages");
                boolean last = i + 3 >= body.length();
                out.write(
                    TestWebSocket.plain(
                        i == 0 || whole ? 1 : 0,
                        last || whole,
                        body.substring(i, Math.min(body.length(), i + 3))));
                out.write(TestWebSocket.plain(9, true, TestGateway.KEY));
              }
            }
          }
          out.write(TestWebSocket.plain(8, true, "\u0003\u00e8" + TestGateway.KEY));
          out.flush();
          Thread.sleep(1000);
        };
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      StringBuilder text = new StringBuilder();
      TestWebSocket.Frame frame;
      do {
        frame = TestWebSocket.read(caller.in);
        if (frame.opcode() < 8) {
          text.append(frame.text());
        } else if (frame.opcode() == 9) {
          assertThat(frame.text()).isEqualTo(STARS);
        }
      } while (frame.opcode() != 8);
      assertThat(frame.text().substring(2)).isEqualTo(STARS);
      if (cut.equals("messages")) {
        // A message does not wait for the next one: what was out before the match was known stays.
        assertThat(text).hasSize(TestGateway.KEY.length() + 5).doesNotContain(TestGateway.KEY);
        assertThat(text.toString()).endsWith("*!");
      } else {
        assertThat(text.toString()).isEqualTo("key " + STARS + "!");
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> caller_whenItsFramesAreWrong_isToldWhy() {
    return attacks(true)
        .map(attack ->
            DynamicTest.dynamicTest(
                attack.name(),
                () -> {
                  try (TestHttp caller = TestWebSocket.open(gateway)) {
                    TestWebSocket.send(caller, attack.bytes());
                    TestWebSocket.Frame frame = TestWebSocket.readClose(caller.in);
                    assertThat(frame.closeCode()).isEqualTo(attack.code());
                    assertThat(caller.isClosed()).isTrue();
                  }
                  await()
                      .until(() -> gateway.records.getLast().code() == ProblemCode.INVALID_REQUEST);
                  gateway.records.clear();
                }));
  }

  @TestFactory
  Stream<DynamicTest> upstream_whenItsFramesAreWrong_isABadGateway() {
    return attacks(false)
        .map(attack ->
            DynamicTest.dynamicTest(
                attack.name(),
                () -> {
                  upstream.script =
                      (request, out) -> {
                        TestUpstream.raw(out, TestWebSocket.accepting(request, ""));
                        out.write(attack.bytes());
                        out.flush();
                        Thread.sleep(2000);
                      };
                  try (TestHttp caller = TestWebSocket.open(gateway)) {
                    TestWebSocket.Frame frame = TestWebSocket.readClose(caller.in);
                    assertThat(frame.closeCode()).isEqualTo(1014);
                    assertThat(caller.isClosed()).isTrue();
                  }
                }));
  }

  private record Attack(String name, byte[] bytes, int code) {}

  private static Stream<Attack> attacks(boolean masked) {
    int m = masked ? 0x80 : 0;
    byte[] mask = masked ? new byte[4] : new byte[0];
    Stream<Attack> both =
        Stream.of(
            attack("RSV1", 1002, mask, 0xc1, m),
            attack("RSV2", 1002, mask, 0xa1, m),
            attack("RSV3 on a ping", 1002, mask, 0x99, m),
            attack("opcode 3", 1002, mask, 0x83, m),
            attack("opcode 7", 1002, mask, 0x87, m),
            attack("opcode 11", 1002, mask, 0x8b, m),
            attack("opcode 15", 1002, mask, 0x8f, m),
            attack("wrong masking", 1002, mask, 0x81, 0x80 - m),
            attack("fragmented ping", 1002, mask, 0x09, m),
            attack("fragmented close", 1002, mask, 0x08, m),
            attack("ping of 126", 1002, mask, 0x89, m | 126, 0, 126),
            attack("continuation first", 1002, mask, 0x80, m),
            attack("length 125 in 2 bytes", 1002, mask, 0x82, m | 126, 0, 125),
            attack("length 65535 in 8", 1002, mask, 0x82, m | 127, 0, 0, 0, 0, 0, 0, 255, 255),
            attack("highest bit", 1002, mask, 0x82, m | 127, 128, 0, 0, 0, 0, 1, 0, 0),
            new Attack(
                "text in a message",
                TestWebSocket.joined(
                    masked
                        ? TestWebSocket.masked(1, false, "a")
                        : TestWebSocket.plain(1, false, "a"),
                    masked
                        ? TestWebSocket.masked(1, true, "b")
                        : TestWebSocket.plain(1, true, "b")),
                1002),
            close("half a code", masked, "\u0003", 1002),
            close("code 999", masked, "\u0003\u00e7", 1002),
            close("code 1004", masked, "\u0003\u00ec", 1002),
            close("code 1005", masked, "\u0003\u00ed", 1002),
            close("code 1006", masked, "\u0003\u00ee", 1002),
            close("code 1015", masked, "\u0003\u00f7", 1002),
            close("code 2999", masked, "\u000b\u00b7", 1002),
            close("code 5000", masked, "\u0013\u0088", 1002),
            close("reason not UTF-8", masked, "\u0003\u00e8\u00ff", 1007));
    return masked
        ? Stream.concat(
            both,
            Stream.of(attack("too large", 1009, mask, 0x82, m | 127, 0, 0, 0, 0, 0, 16, 0, 1)))
        : both;
  }

  private static Attack attack(String name, int code, byte[] mask, int... head) {
    return new Attack(name, TestWebSocket.joined(TestWebSocket.bytes(head), mask), code);
  }

  private static Attack close(String name, boolean masked, String payload, int code) {
    return new Attack(
        name,
        masked ? TestWebSocket.masked(8, true, payload) : TestWebSocket.plain(8, true, payload),
        code);
  }

  @Test
  void frames_whenTheyComeBeforeTheAnswer_areRefused() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    upstream.script =
        (request, out) -> {
          go.await();
          TestWebSocket.echo(request, out);
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestWebSocket.handshake("/d/up/v1/live/x", ""));
      await().until(() -> upstream.requests.size() == 1);
      // Looks like the beginning of a request, so the HTTP guard has nothing against it.
      caller.send("GET");
      Thread.sleep(100);
      go.countDown();
      TestHttp.Answer answer = caller.read();
      assertThat(answer.status()).isEqualTo(400);
    }
  }

  @Test
  void stop_closesOnAFrameBoundaryWith1008AndEndsBothSides() throws Exception {
    endless();
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      TestWebSocket.read(caller.in);
      long began = System.nanoTime();
      assertThat(gateway.live.cut(exchange -> exchange.caller().agent().equals("bot"))).isOne();
      TestWebSocket.Frame frame = TestWebSocket.readClose(caller.in);
      assertThat(frame.closeCode()).isEqualTo(1008);
      assertThat(caller.isClosed()).isTrue();
      assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(1));
    }
    await().until(() -> upstream.closedByPeer.get() == 1 && gateway.records.size() == 2);
    TestGateway.Written cut = gateway.records.getLast();
    assertThat(cut.code()).isEqualTo(ProblemCode.STOPPED);
    assertThat((Long) cut.details().get("bytes_to_caller")).isPositive();
  }

  @Test
  void tunnel_carriesAWebSocket_whichAStopClosesWith1008() throws Exception {
    upstream.script = TestWebSocket::echo;
    String authority = "upstream.test:" + upstream.port();
    try (TestTunnel tunnel = TestTunnel.open(gateway, authority, "good")) {
      // The key of the caller is removed; the token is that of the CONNECT.
      String open =
          TestWebSocket.handshake("/v1/live/x", "")
              .replace("Host: g", "Host: " + authority)
              .replace("Bearer good", "Bearer mine");
      assertThat(tunnel.send(open).read(true).status()).isEqualTo(101);
      tunnel.tls().getOutputStream().write(TestWebSocket.masked(1, true, "say " + TestGateway.KEY));
      assertThat(TestWebSocket.read(tunnel.in()).text()).isEqualTo("say " + STARS);
      assertThat(upstream.requests.getFirst().values("authorization"))
          .containsExactly("Bearer " + TestGateway.KEY);

      assertThat(gateway.live.cut(exchange -> true)).isEqualTo(2);
      assertThat(TestWebSocket.readClose(tunnel.in()).closeCode()).isEqualTo(1008);
      assertThat(tunnel.isClosed()).isTrue();
    }
    await().until(() -> upstream.closedByPeer.get() == 1 && gateway.live.size() == 0);
    await().until(() -> gateway.records.getLast().code() == ProblemCode.STOPPED);
    assertThat(gateway.records.getFirst().details())
        .containsEntry("method", "WEBSOCKET")
        .containsEntry("way", "intercept");
  }

  @Test
  void tunnel_whereNoRuleSaysSo_opensNone() throws Exception {
    String authority = "upstream.test:" + upstream.port();
    try (TestTunnel tunnel = TestTunnel.open(gateway, authority, "good")) {
      String open =
          TestWebSocket.handshake("/v1/other", "").replace("Host: g", "Host: " + authority);
      assertThat(tunnel.send(open).read().status()).isEqualTo(403);
    }
    assertThat(upstream.requests).isEmpty();
  }

  @Test
  void stop_whenTheCallerDoesNotRead_throwsAwayWhatWaits() throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, TestWebSocket.accepting(request, ""));
          while (true) {
            out.write(TestWebSocket.plain(2, true, "x".repeat(60_000)));
          }
        };
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      Thread.sleep(700);
      assertThat(gateway.live.cut(exchange -> true)).isOne();
      await().until(() -> upstream.closedByPeer.get() == 1);
      assertThatThrownBy(
              () -> {
                while (true) {
                  TestWebSocket.read(caller.in);
                }
              })
          .isInstanceOf(IOException.class);
    }
  }

  @Test
  void view_whenItIsStale_cutsWithoutAWord() throws Exception {
    endless();
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      TestWebSocket.read(caller.in);
      gateway.current = false;
      assertThatThrownBy(
              () -> {
                while (TestWebSocket.read(caller.in).opcode() != 8) {}
              })
          .isInstanceOf(IOException.class);
    }
    await().until(() -> upstream.closedByPeer.get() == 1);
  }

  @Test
  void drain_saysGoodByeToBothSides() throws Exception {
    CompletableFuture<Integer> told = new CompletableFuture<>();
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, TestWebSocket.accepting(request, ""));
          told.complete(TestWebSocket.read(request.body()).closeCode());
        };
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      CompletableFuture<Void> stopping = CompletableFuture.runAsync(gateway.server::stop);
      assertThat(TestWebSocket.read(caller.in).closeCode()).isEqualTo(1001);
      assertThat(told.get(5, TimeUnit.SECONDS)).isEqualTo(1001);
      caller.close();
      stopping.get(10, TimeUnit.SECONDS);
    }
  }

  @Test
  void silence_endsAWebSocketAndPingsKeepItAlive() throws Exception {
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      for (int i = 0; i < 4; i++) {
        Thread.sleep(500);
        TestWebSocket.send(caller, TestWebSocket.masked(9, true, "p"));
        assertThat(TestWebSocket.read(caller.in).opcode()).isEqualTo(9);
      }
      assertThat(TestWebSocket.read(caller.in).closeCode()).isEqualTo(1001);
    }
    await().until(() -> gateway.records.getLast().code() == ProblemCode.UPSTREAM_TIMEOUT);
  }

  @Test
  void maxStream_endsAWebSocketThatIsInUse() throws Exception {
    gateway.maxStream = Duration.ofMillis(700);
    endless();
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      TestWebSocket.Frame frame = TestWebSocket.readClose(caller.in);
      assertThat(frame.closeCode()).isEqualTo(1001);
    }
  }

  @Test
  void slowUpstream_holdsTheCallerBack() throws Exception {
    CountDownLatch done = new CountDownLatch(1);
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, TestWebSocket.accepting(request, ""));
          done.await();
        };
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      byte[] frame = TestWebSocket.masked(2, true, "x".repeat(60_000));
      AtomicLong sent = new AtomicLong();
      Thread sender =
          Thread.ofVirtual()
              .start(() -> {
                try {
                  while (true) {
                    TestWebSocket.send(caller, frame);
                    sent.addAndGet(frame.length);
                  }
                } catch (IOException e) {
                  // Cut, because nothing moved.
                }
              });
      Thread.sleep(1000);
      // What the kernel takes on the way, and no more.
      assertThat(sent.get()).isLessThan(40_000_000);
      sender.join();
    }
    await().until(() -> gateway.records.size() == 2);
    assertThat((Long) gateway.records.getLast().details().get("bytes_to_upstream"))
        .isLessThan(40_000_000);
    done.countDown();
  }

  @Test
  void upstream_whenItLeavesWithoutAWord_isABadGateway() throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, TestWebSocket.accepting(request, ""));
          throw new IOException("gone");
        };
    try (TestHttp caller = TestWebSocket.open(gateway)) {
      assertThat(TestWebSocket.read(caller.in).closeCode()).isEqualTo(1014);
    }
  }

  private void endless() {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, TestWebSocket.accepting(request, ""));
          while (true) {
            out.write(TestWebSocket.plain(1, true, "tick"));
            out.flush();
            Thread.sleep(10);
          }
        };
  }
}
