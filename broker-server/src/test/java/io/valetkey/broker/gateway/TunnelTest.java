package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.netty.channel.Channel;
import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.vertx.core.internal.ContextInternal;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;

/** Tunnels that nobody looks into, from raw sockets to raw sockets. Invariants: G22, G23, G24. */
@Timeout(180)
class TunnelTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String HOST = "upstream.test";
  private static final Duration LONG = Duration.ofSeconds(60);

  private TestPeer peer;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    peer = new TestPeer();
    gateway = gateway(peer.port(), LONG, LONG);
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    peer.close();
  }

  private static TestGateway gateway(int port, Duration idle, Duration connect) throws Exception {
    TestGateway made = new TestGateway(port, CERTIFICATES.trust(), LONG, idle, connect, LONG, null);
    made.kind = DestinationKind.TUNNEL;
    return made;
  }

  /** A new gateway with other bounds in the place of the one that there is. */
  private void restart(Duration idle, Duration connect) throws Exception {
    gateway.close();
    gateway = gateway(peer.port(), idle, connect);
  }

  private String authority() {
    return HOST + ":" + peer.port();
  }

  private static String connect(String target, String token) {
    String fields = token == null ? "" : "Proxy-Authorization: Bearer " + token + "\r\n";
    return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n" + fields + "\r\n";
  }

  /** A caller with a tunnel that awaits its ClientHello. */
  private TestHttp connected() throws Exception {
    TestHttp caller = gateway.proxyCaller();
    caller.socket.setSoTimeout(20_000);
    assertThat(caller.send(connect(authority(), "good")).read(true).status()).isEqualTo(200);
    return caller;
  }

  private static void write(Socket socket, byte[] bytes) throws IOException {
    socket.getOutputStream().write(bytes);
    socket.getOutputStream().flush();
  }

  private static void write(Socket socket, String text) throws IOException {
    write(socket, text.getBytes(StandardCharsets.ISO_8859_1));
  }

  private static String read(InputStream in, int length) throws IOException {
    return new String(in.readNBytes(length), StandardCharsets.ISO_8859_1);
  }

  private static boolean isReset(InputStream in) throws IOException {
    try {
      while (in.read() >= 0) {
        // What was under way may still come.
      }
      return false;
    } catch (SocketException e) {
      return true;
    }
  }

  /** Both ends of a tunnel that is open. */
  private record Ends(TestHttp caller, Socket upstream) implements AutoCloseable {
    @Override
    public void close() throws IOException {
      caller.close();
      upstream.close();
    }
  }

  private Ends open() throws Exception {
    TestHttp caller = connected();
    byte[] hello = TestClientHello.naming(HOST);
    write(caller.socket, hello);
    Socket upstream = peer.next();
    assertThat(upstream.getInputStream().readNBytes(hello.length)).isEqualTo(hello);
    return new Ends(caller, upstream);
  }

  private TestGateway.Written lastRecord() {
    return gateway.records.getLast();
  }

  @Test
  void tlsOfTheCaller_goesThroughUnread_andIsOnRecordFromBeginningToEnd() throws Exception {
    try (var upstream =
        new TestUpstream(
            CERTIFICATES.valid(HOST),
            (request, out) -> TestUpstream.ok(out, "<" + request.text() + ">"))) {
      gateway.close();
      gateway = gateway(upstream.port(), LONG, LONG);
      String authority = HOST + ":" + upstream.port();
      try (TestTunnel tunnel =
          TestTunnel.dial(gateway, authority, "good", CERTIFICATES.trusting())) {
        TestHttp.Answer answer =
            tunnel
                .send(
                    "POST /anything HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-mine\r\n"
                        + "Content-Length: 3\r\n\r\nabc")
                .read();
        assertThat(answer.body()).isEqualTo("<abc>");
        var shown = (X509Certificate) tunnel.tls().getSession().getPeerCertificates()[0];
        assertThat(shown.getIssuerX500Principal().getName()).isEqualTo("CN=Test CA");
      }
      TestUpstream.Received seen = upstream.requests.getFirst();
      assertThat(seen.values("authorization")).containsExactly("Bearer sk-mine");
      assertThat(seen.head()).doesNotContain("good", TestGateway.KEY);
    }
    await().until(() -> gateway.records.size() == 2 && gateway.live.size() == 0);
    Map<String, Object> begin = gateway.records.getFirst().details();
    assertThat(gateway.records.getFirst().outcome()).isEqualTo("granted");
    assertThat(begin)
        .containsEntry("way", "tunnel")
        .containsEntry("method", "CONNECT")
        .containsEntry("destination", "up")
        .containsKeys("rule", "origin");
    Map<String, Object> end = lastRecord().details();
    assertThat(lastRecord().outcome()).isEqualTo("ended");
    assertThat(end).containsEntry("way", "tunnel").containsEntry("ended_by", "caller");
    assertThat(end).containsKey("granted_as");
    assertThat((long) end.get("bytes_to_upstream")).isGreaterThan(200);
    assertThat((long) end.get("bytes_to_caller")).isGreaterThan(200);
    assertThat(gateway.fetches).hasValue(0);
    assertThat(gateway.lookups).hasValue(1);
    assertThat(gateway.certificates.size()).isZero();
  }

  @Test
  void everyOtherWay_toADestinationThatIsATunnel_isUnknown() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().status()).isEqualTo(404);
    }
    try (TestHttp caller = gateway.proxyCaller()) {
      String bytes =
          "GET https://%s/v1/a HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer good\r\n\r\n"
              .formatted(authority(), authority());
      assertThat(caller.send(bytes).read().status()).isEqualTo(404);
    }
    assertThat(gateway.lookups).hasValue(0);
    assertThat(peer.isUntouched()).isTrue();
  }

  @TestFactory
  List<DynamicTest> connect_thatIsNotForThisTunnel_isRefusedBeforeAnythingHappens() {
    Map<String, Integer> refused = new LinkedHashMap<>();
    refused.put(connect("upstream.test:22", "good"), 404);
    refused.put(connect("upstream.test:443", "good"), 404);
    refused.put(connect("UPSTREAM.test:PORT", "good"), 404);
    refused.put(connect("upstream.test.:PORT", "good"), 404);
    refused.put(connect("other.test:PORT", "good"), 404);
    refused.put(connect("127.0.0.1:PORT", "good"), 404);
    refused.put(connect("[::1]:PORT", "good"), 404);
    refused.put(connect("2130706433:PORT", "good"), 404);
    refused.put(connect("upstream.test:PORT", "good-other"), 404);
    refused.put(connect("upstream.test:PORT", null), 407);
    refused.put(connect("upstream.test:PORT", "nonsense"), 407);
    refused.put(connect("upstream.test:PORT", "expired"), 407);
    refused.put(connect("upstream.test:PORT", "good-bound"), 407);
    refused.put(
        connect("upstream.test:PORT", "good").replace("Proxy-Authorization", "Authorization"), 407);
    refused.put(connect("upstream.test:PORT", "good") + "\u0016\u0003\u0001", 400);
    return refused.entrySet().stream()
        .map(one ->
            DynamicTest.dynamicTest(
                one.getKey().replaceAll("[^ -~]+", " ") + one.getValue(),
                () -> {
                  int before = gateway.records.size();
                  String bytes = one.getKey().replace("PORT", String.valueOf(peer.port()));
                  try (TestHttp caller = gateway.proxyCaller()) {
                    TestHttp.Answer answer = caller.send(bytes).read();
                    assertThat(answer.status()).isEqualTo(one.getValue());
                    assertThat(caller.isClosed()).isTrue();
                  }
                  await().until(() -> gateway.records.size() > before);
                  assertThat(gateway.lookups).hasValue(0);
                  assertThat(peer.isUntouched()).isTrue();
                  await().until(() -> gateway.live.size() == 0);
                }))
        .toList();
  }

  /** None of them reaches the destination, which sees a connection that says nothing. */
  @TestFactory
  List<DynamicTest> firstBytes_whenTheyAreNoHelloForTheHost_endTheTunnel() {
    Map<String, byte[]> refused = new LinkedHashMap<>();
    refused.put("another name", TestClientHello.naming("other.test"));
    refused.put("a name below", TestClientHello.naming("x." + HOST));
    refused.put("upper case", TestClientHello.naming("UPSTREAM.test"));
    refused.put("trailing dot", TestClientHello.naming(HOST + "."));
    refused.put("an address", TestClientHello.naming("127.0.0.1"));
    refused.put("no name", TestClientHello.naming());
    refused.put("an empty name", TestClientHello.naming(""));
    refused.put("a NUL in the name", TestClientHello.naming(HOST + "\u0000.other.test"));
    refused.put("two names", TestClientHello.naming(HOST, "other.test"));
    refused.put("the same name twice", TestClientHello.naming(HOST, HOST));
    refused.put("two in one", TestClientHello.withTwoNamesInOne(HOST, "other.test"));
    refused.put("huge", TestClientHello.huge(HOST));
    refused.put("ECH for another outer name", TestClientHello.with(0xfe0d, "outer.test"));
    refused.put("HTTP", "GET / HTTP/1.1\r\nHost: upstream.test\r\n\r\n".getBytes());
    refused.put("SSH", "SSH-2.0-OpenSSH_9.9\r\n".getBytes());
    refused.put("SMTP", "EHLO x\r\n".getBytes());
    refused.put("SSL 2", new byte[] {(byte) 0x80, 0x2e, 1, 3, 1});
    refused.put("alert", new byte[] {21, 3, 1, 0, 2, 1, 0});
    refused.put("application data", new byte[] {23, 3, 3, 0, 1, 0});
    refused.put("heartbeat", new byte[] {24, 3, 1, 0, 3, 1, 0x40, 0});
    byte[] early = TestClientHello.naming(HOST);
    early = java.util.Arrays.copyOf(early, early.length + 6);
    early[early.length - 6] = 23;
    refused.put("something behind it", early);
    return refused.entrySet().stream()
        .map(one ->
            DynamicTest.dynamicTest(
                one.getKey(),
                () -> {
                  int before = gateway.records.size();
                  try (TestHttp caller = connected()) {
                    write(caller.socket, one.getValue());
                    assertThat(caller.isClosed()).isTrue();
                  }
                  try (Socket upstream = peer.next()) {
                    assertThat(isSilent(upstream.getInputStream())).isTrue();
                  }
                  await().until(() -> gateway.records.size() == before + 2);
                  assertThat(lastRecord().code()).isEqualTo(ProblemCode.INVALID_REQUEST);
                  assertThat(lastRecord().details())
                      .containsEntry("way", "tunnel")
                      .containsKey("granted_as");
                  await().until(() -> gateway.live.size() == 0);
                }))
        .toList();
  }

  private static boolean isSilent(InputStream in) throws IOException {
    try {
      return in.read() < 0;
    } catch (SocketException e) {
      return true;
    }
  }

  @Test
  void hello_thatDoesNotEnd_isGivenUp() throws Exception {
    restart(LONG, Duration.ofSeconds(2));
    byte[] hello = TestClientHello.naming(HOST);
    try (TestHttp caller = connected()) {
      write(caller.socket, java.util.Arrays.copyOf(hello, hello.length - 1));
      assertThat(caller.isClosed()).isTrue();
    }
    assertThat(isSilent(peer.next().getInputStream())).isTrue();
    await().until(() -> gateway.records.size() == 2);
  }

  @Test
  void hello_inRecordsAndSegmentsOfOneByte_passesAsItWas() throws Exception {
    byte[] hello = TestClientHello.inRecordsOf(1, HOST);
    try (TestHttp caller = connected()) {
      caller.socket.setTcpNoDelay(true);
      for (byte one : hello) {
        write(caller.socket, new byte[] {one});
      }
      try (Socket upstream = peer.next()) {
        assertThat(upstream.getInputStream().readNBytes(hello.length)).isEqualTo(hello);
        write(upstream, "answer");
        assertThat(read(caller.in, 6)).isEqualTo("answer");
      }
    }
  }

  /** What is asked for inside cannot be seen; that the outer name is right is all there is. */
  @Test
  void hello_withEch_passesIfItsOuterNameIsTheHost() throws Exception {
    byte[] hello = TestClientHello.with(0xfe0d, HOST);
    try (TestHttp caller = connected()) {
      write(caller.socket, hello);
      try (Socket upstream = peer.next()) {
        assertThat(upstream.getInputStream().readNBytes(hello.length)).isEqualTo(hello);
      }
    }
  }

  @Test
  void destination_thatCannotBeReached_isSaidBeforeTheTunnelIsThere() throws Exception {
    gateway.address = "169.254.169.254";
    refused(502, ProblemCode.UPSTREAM_ADDRESS_REFUSED);
    gateway.address = "127.0.0.1";
    peer.close();
    refused(502, ProblemCode.UPSTREAM_UNREACHABLE);
  }

  @Test
  void connect_whenItCannotBeRecorded_orIsStopped_opensNothing() throws Exception {
    gateway.auditDown = true;
    refused(503, ProblemCode.AUDIT_UNAVAILABLE);
    gateway.auditDown = false;
    gateway.stopped = true;
    try (TestHttp caller = gateway.proxyCaller()) {
      assertThat(caller.send(connect(authority(), "good")).read().status()).isEqualTo(407);
    }
    assertThat(peer.isUntouched()).isTrue();
    assertThat(gateway.lookups).hasValue(0);
  }

  private void refused(int status, ProblemCode code) throws Exception {
    try (TestHttp caller = gateway.proxyCaller()) {
      caller.socket.setSoTimeout(20_000);
      TestHttp.Answer answer = caller.send(connect(authority(), "good")).read();
      assertThat(answer.status()).isEqualTo(status);
      assertThat(answer.header("valetkey-error")).isEqualTo(code.code());
    }
    await().until(() -> gateway.live.size() == 0);
  }

  @Test
  void stop_cutsBothSides_andIsOnRecordWithItsBytes() throws Exception {
    try (Ends ends = open();
        TestHttp waiting = connected();
        Socket silent = peer.next()) {
      write(ends.upstream(), "before");
      assertThat(read(ends.caller().in, 6)).isEqualTo("before");
      gateway.stopped = true;
      assertThat(gateway.live.cut(exchange -> true)).isEqualTo(2);
      assertThat(isReset(ends.caller().in)).isTrue();
      assertThat(isReset(ends.upstream().getInputStream())).isTrue();
      assertThat(waiting.isClosed()).isTrue();
      assertThat(isSilent(silent.getInputStream())).isTrue();
    }
    await()
        .untilAsserted(() ->
            assertThat(gateway.records)
                .filteredOn(record -> record.code() == ProblemCode.STOPPED)
                .hasSize(2)
                .allSatisfy(record -> assertThat(record.details()).containsEntry("way", "tunnel"))
                .anySatisfy(
                    record -> assertThat(record.details()).containsEntry("bytes_to_caller", 6L)));
    assertThat(gateway.live.size()).isZero();
  }

  @Test
  void viewOfStops_whenItIsTooOld_letsNothingMoreThrough() throws Exception {
    try (Ends ends = open()) {
      gateway.current = false;
      write(ends.caller().socket, "after");
      assertThat(isSilent(ends.upstream().getInputStream())).isTrue();
    }
    await().until(() -> gateway.live.size() == 0 && gateway.server.deferredRecords() == 1);
  }

  @Test
  void tunnel_inWhichNothingMoves_ends() throws Exception {
    restart(Duration.ofSeconds(1), LONG);
    try (Ends ends = open()) {
      assertThat(isReset(ends.caller().in)).isTrue();
      assertThat(isReset(ends.upstream().getInputStream())).isTrue();
    }
    await().until(() -> lastRecord().code() == ProblemCode.UPSTREAM_TIMEOUT);
  }

  @Test
  void tunnel_lastsNoLongerThanTheDestinationAllows() throws Exception {
    gateway.maxStream = Duration.ofSeconds(2);
    try (Ends ends = open()) {
      CompletableFuture<Void> talking =
          CompletableFuture.runAsync(() -> {
            try {
              while (true) {
                write(ends.upstream(), "x");
                Thread.sleep(50);
              }
            } catch (IOException | InterruptedException e) {
              // Cut.
            }
          });
      assertThat(isReset(ends.caller().in)).isTrue();
      talking.join();
    }
    await().until(() -> lastRecord().code() == ProblemCode.UPSTREAM_TIMEOUT);
  }

  @Test
  void side_thatHasNoMoreToSay_isStillTold_andTheEndIsAGoodOne() throws Exception {
    try (Ends ends = open()) {
      write(ends.caller().socket, "question");
      ends.caller().socket.shutdownOutput();
      InputStream in = ends.upstream().getInputStream();
      assertThat(new String(in.readAllBytes(), StandardCharsets.US_ASCII)).isEqualTo("question");
      write(ends.upstream(), "answer");
      ends.upstream().shutdownOutput();
      assertThat(new String(ends.caller().in.readAllBytes(), StandardCharsets.US_ASCII))
          .isEqualTo("answer");
    }
    await().until(() -> gateway.live.size() == 0 && gateway.records.size() == 2);
    assertThat(lastRecord().outcome()).isEqualTo("ended");
    assertThat(lastRecord().details()).containsEntry("ended_by", "caller");
  }

  @Test
  void upstream_thatHasNoMoreToSay_isStillTold() throws Exception {
    try (Ends ends = open()) {
      write(ends.upstream(), "all");
      ends.upstream().shutdownOutput();
      assertThat(new String(ends.caller().in.readAllBytes(), StandardCharsets.US_ASCII))
          .isEqualTo("all");
      write(ends.caller().socket, "thanks");
      ends.caller().socket.shutdownOutput();
      InputStream in = ends.upstream().getInputStream();
      assertThat(new String(in.readAllBytes(), StandardCharsets.US_ASCII)).isEqualTo("thanks");
    }
    await().until(() -> gateway.live.size() == 0 && gateway.records.size() == 2);
    assertThat(lastRecord().details()).containsEntry("ended_by", "upstream");
  }

  @Test
  void reset_onOneSide_isOneOnTheOther() throws Exception {
    try (Ends ends = open()) {
      ends.upstream().setSoLinger(true, 0);
      ends.upstream().close();
      assertThat(isReset(ends.caller().in)).isTrue();
    }
    await().until(() -> gateway.live.size() == 0 && gateway.records.size() == 2);
    assertThat(lastRecord().details()).containsEntry("ended_by", "upstream");
    try (Ends ends = open()) {
      ends.caller().socket.setSoLinger(true, 0);
      ends.caller().close();
      assertThat(isReset(ends.upstream().getInputStream())).isTrue();
    }
    await().until(() -> gateway.live.size() == 0 && gateway.records.size() == 4);
    assertThat(lastRecord().details()).containsEntry("ended_by", "caller");
  }

  /** The side that is not read holds the other one up, and nothing is lost. */
  @Test
  void slowSide_holdsTheOtherOneUp() throws Exception {
    try (Ends ends = open()) {
      heldUp(ends.caller().socket, ends.upstream());
      heldUp(ends.upstream(), ends.caller().socket);
    }
  }

  private void heldUp(Socket from, Socket to) throws Exception {
    long most = 256L << 20;
    byte[] piece = new byte[64 * 1024];
    AtomicLong written = new AtomicLong();
    OutputStream out = from.getOutputStream();
    CompletableFuture<Void> writing =
        CompletableFuture.runAsync(() -> {
          try {
            while (written.get() < most && !Thread.currentThread().isInterrupted()) {
              out.write(piece);
              written.addAndGet(piece.length);
            }
          } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
          }
        });
    long[] before = {-1};
    await()
        .pollInterval(Duration.ofSeconds(1))
        .atMost(Duration.ofSeconds(60))
        .until(() -> {
          long now = written.get();
          boolean stuck = now > 0 && now == before[0];
          before[0] = now;
          return stuck;
        });
    // Two pairs of socket buffers and two write buffers, not what was sent.
    assertThat(written.get()).isLessThan(most / 4);
    InputStream in = to.getInputStream();
    for (long read = 0; read < most; ) {
      int count = in.read(piece);
      assertThat(count).isPositive();
      read += count;
    }
    writing.join();
  }

  @Test
  void caller_thatGoesWhileATunnelIsMade_hasItsEndOnRecord() throws Exception {
    try (TestHttp caller = connected()) {
      caller.close();
    }
    await().until(() -> gateway.live.size() == 0 && gateway.records.size() == 2);
    assertThat(lastRecord().details()).containsEntry("ended_by", "caller");
    assertThat(isSilent(peer.next().getInputStream())).isTrue();
  }

  @Test
  void dial_whenAsManyAreOpenAsMayBe_refusesUntilOneHasEnded() throws Exception {
    var egress = new Egress(gateway.resolver);
    var dial = new TunnelDial(gateway.vertx, egress, Duration.ofSeconds(10), 1);
    var loop = ((ContextInternal) gateway.vertx.getOrCreateContext()).nettyEventLoop();
    var passage =
        new Tunnels.Passage(
            new Authority(HOST, peer.port()),
            gateway.authoriseTunnel(gateway.verify("good"), "up").target(),
            List.of(java.net.InetAddress.getLoopbackAddress()));
    Channel first = dial.connect(loop, passage).get(20, TimeUnit.SECONDS);
    assertThatThrownBy(() -> dial.connect(loop, passage).get(20, TimeUnit.SECONDS))
        .hasRootCauseInstanceOf(RefusedException.class)
        .hasMessageContaining("as many tunnels open");
    first.close().sync();
    Channel next =
        await()
            .ignoreExceptions()
            .until(() -> dial.connect(loop, passage).get(20, TimeUnit.SECONDS), c -> true);
    next.close().sync();
    // An attempt that fails takes no place.
    peer.close();
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> dial.connect(loop, passage).get(20, TimeUnit.SECONDS))
          .hasMessageContaining("could not connect");
    }
  }

  @Test
  void drain_letsTunnelsGoOn_andThenEndsThem() throws Exception {
    try (Ends ends = open()) {
      CompletableFuture<Void> stopping = CompletableFuture.runAsync(gateway.server::stop);
      Thread.sleep(500);
      write(ends.caller().socket, "still");
      assertThat(read(ends.upstream().getInputStream(), 5)).isEqualTo("still");
      stopping.join();
      assertThat(isSilent(ends.upstream().getInputStream())).isTrue();
    }
    await().until(() -> gateway.records.size() == 2);
    assertThat(gateway.live.size()).isZero();
    assertThat(lastRecord().details()).containsEntry("ended_by", "gateway");
  }
}
