package io.valetkey.broker.gateway;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import io.valetkey.broker.problem.ProblemCode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * A thousand open streams: event streams, WebSockets, and event streams in tunnels that are read
 * and in tunnels that are not. Promise: P2.
 */
@Timeout(180)
class ManyStreamsTest {

  private static final int STREAMS = 1000;
  private static final int TUNNELS = 300;
  private static final int WEB_SOCKETS = 300;
  private static final int PASSAGES = 200;

  /** As the callers see it, who share two cores with the gateway and the upstream here. */
  private static final Duration BOUND = Duration.ofSeconds(5);

  private final List<Long> endedNanos = new CopyOnWriteArrayList<>();
  private final ConcurrentLinkedQueue<String> wrong = new ConcurrentLinkedQueue<>();
  private final CountDownLatch ended = new CountDownLatch(STREAMS);
  private final AtomicInteger open = new AtomicInteger();
  private final Semaphore opening = new Semaphore(32);
  private volatile long stoppedNanos;
  private volatile SSLContext trusting;

  @Test
  void stop_whenAThousandStreamsAreOpen_cutsThemAllWithinTheBound() throws Exception {
    var certificates = new TestCertificates();
    try (var upstream = new TestUpstream(certificates.valid("upstream.test"), this::tick);
        var gateway = new TestGateway(upstream.port(), certificates.trust());
        ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
      gateway.kind = DestinationKind.TUNNEL;
      trusting = certificates.trusting();
      open(callers, gateway, upstream, STREAMS - PASSAGES, STREAMS);
      gateway.kind = DestinationKind.HTTP;
      open(callers, gateway, upstream, 0, STREAMS - PASSAGES);
      // An open tunnel is an exchange as well as what is in it.
      assertThat(gateway.live.size()).isEqualTo(STREAMS + TUNNELS);

      stoppedNanos = System.nanoTime();
      assertThat(gateway.live.cut(exchange -> exchange.caller().agent().equals("bot")))
          .isEqualTo(STREAMS + TUNNELS);
      assertThat(ended.await(BOUND.toSeconds() * 5, TimeUnit.SECONDS)).isTrue();

      assertThat(wrong).isEmpty();
      assertThat(endedNanos)
          .hasSize(STREAMS)
          .allSatisfy(
              nanos -> assertThat(Duration.ofNanos(nanos - stoppedNanos)).isLessThan(BOUND));
      await().until(() -> upstream.closedByPeer.get() == STREAMS);
      await()
          .until(() ->
              gateway.records.stream().filter(r -> r.code() == ProblemCode.STOPPED).count()
                  == STREAMS);
    }
  }

  private void open(
      ExecutorService callers, TestGateway gateway, TestUpstream upstream, int from, int to) {
    int before = open.get();
    for (int i = from; i < to; i++) {
      int number = i;
      callers.execute(() -> call(gateway, upstream, number));
    }
    await()
        .atMost(Duration.ofSeconds(120))
        .until(() -> open.get() == before + to - from || !wrong.isEmpty());
    assertThat(wrong).isEmpty();
  }

  private void tick(TestUpstream.Received request, OutputStream out) throws Exception {
    boolean webSocket = !request.values("sec-websocket-key").isEmpty();
    TestUpstream.raw(
        out,
        webSocket
            ? TestWebSocket.accepting(request, "")
            : "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n");
    while (true) {
      out.write(
          webSocket ? TestWebSocket.plain(1, true, "tick") : "6\r\ndata\n\n\r\n".getBytes(UTF_8));
      out.flush();
      Thread.sleep(1000);
    }
  }

  private void call(TestGateway gateway, TestUpstream upstream, int number) {
    opening.acquireUninterruptibly();
    AtomicBoolean begun = new AtomicBoolean();
    try {
      if (number < TUNNELS || number >= STREAMS - PASSAGES) {
        String authority = "upstream.test:" + upstream.port();
        try (TestTunnel tunnel =
            number < TUNNELS
                ? TestTunnel.open(gateway, authority, "good")
                : TestTunnel.dial(gateway, authority, "good", trusting)) {
          tunnel.tls().setSoTimeout(60_000);
          tunnel.send("GET /v1/events HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
          follow(tunnel.in(), false, begun);
        }
      } else {
        boolean webSocket = number < TUNNELS + WEB_SOCKETS;
        try (TestHttp caller = gateway.caller()) {
          caller.socket.setSoTimeout(60_000);
          caller.send(
              webSocket
                  ? TestWebSocket.handshake("/d/up/v1/live/x", "")
                  : TestGateway.get("/d/up/v1/events"));
          follow(caller.in, webSocket, begun);
        }
      }
    } catch (Exception e) {
      wrong.add(e.toString());
    } finally {
      if (!begun.get()) {
        opening.release();
      }
    }
  }

  /** Reads until it is cut, which has to be by the stop. */
  private void follow(InputStream in, boolean webSocket, AtomicBoolean begun) throws IOException {
    TestHttp.head(in);
    int close = webSocket ? TestWebSocket.read(in).opcode() : 0;
    open.incrementAndGet();
    begun.set(true);
    opening.release();
    try {
      while (true) {
        if (webSocket) {
          TestWebSocket.Frame frame = TestWebSocket.read(in);
          close = frame.opcode() == WebSocketFrames.CLOSE ? frame.closeCode() : close;
        } else if (TestHttp.chunk(in).isEmpty()) {
          wrong.add("a cut event stream looks complete");
        }
      }
    } catch (IOException cut) {
      endedNanos.add(System.nanoTime());
      if (stoppedNanos == 0 || (webSocket && close != WebSocketFrames.POLICY)) {
        wrong.add("ended by itself or without a word: " + close + " " + cut);
      }
      ended.countDown();
    }
  }
}
