package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.handler.codec.http2.Http2Headers;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** HTTP/2 to an upstream that answers frame by frame. Invariants: G7, G19. */
@Timeout(60)
class Http2UpstreamTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();

  /** Answers one request, which stands on this stream. */
  private interface Script {
    void answer(TestHttp2 connection, int stream, int count) throws IOException;
  }

  private final List<Http2Headers> requests = new CopyOnWriteArrayList<>();
  private final AtomicInteger connections = new AtomicInteger();
  private SSLServerSocket server;
  private volatile Script script;
  private TestGateway gateway;
  private TestHttp2 caller;

  @BeforeEach
  void start() throws Exception {
    server =
        (SSLServerSocket)
            CERTIFICATES
                .valid("upstream.test")
                .getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
    gateway =
        new TestGateway(
            server.getLocalPort(), CERTIFICATES.trust(), CERTIFICATES.validKeys("localhost"));
    gateway.http2 = true;
    caller = TestHttp2.open(gateway.server.port(), CERTIFICATES.trusting());
  }

  @AfterEach
  void stop() throws Exception {
    caller.close();
    gateway.close();
    server.close();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        var socket = (SSLSocket) server.accept();
        connections.incrementAndGet();
        Thread.ofVirtual().start(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(SSLSocket socket) {
    try (TestHttp2 connection = TestHttp2.serve(socket)) {
      while (true) {
        TestHttp2.Frame frame = connection.read();
        if (frame.type() == TestHttp2.HEADERS) {
          script.answer(connection, frame.stream(), add(connection.headers(frame)));
        }
      }
    } catch (IOException e) {
      // Closed by the gateway, or because the script wanted it.
    }
  }

  /** Which request this is, counted from one. */
  private synchronized int add(Http2Headers request) {
    requests.add(request);
    return requests.size();
  }

  private TestHttp2.Answer get() throws IOException {
    return caller.answer(caller.request(true, "GET", "/d/up/v1/a?x=1"));
  }

  @Test
  void request_goesByHttp2_withTheCredentialAndWithoutTheToken() throws Exception {
    script =
        (connection, stream, count) -> {
          connection.answer(stream, false, ":status", "200", "x-a", "Bearer " + TestGateway.KEY);
          connection.data(stream, true, "hello");
        };

    for (int i = 0; i < 3; i++) {
      TestHttp2.Answer answer = get();
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.header("x-a")).doesNotContain(TestGateway.KEY);
      assertThat(answer.body()).isEqualTo("hello");
    }
    assertThat(connections).hasValue(1);
    assertThat(requests)
        .allSatisfy(request -> {
          assertThat(request.method()).hasToString("GET");
          assertThat(request.path()).hasToString("/v1/a?x=1");
          assertThat(request.scheme()).hasToString("https");
          assertThat(request.authority()).hasToString("upstream.test:" + server.getLocalPort());
          assertThat(request.getAll("authorization").toString())
              .isEqualTo("[Bearer " + TestGateway.KEY + "]");
          assertThat(request.contains("te")).isFalse();
        });
  }

  @Test
  void manyAtOnce_allGetTheirOwnAnswer() throws Exception {
    script =
        (connection, stream, count) -> {
          String path = requests.get(count - 1).path().toString();
          connection.answer(stream, false, ":status", "200").data(stream, true, path);
        };
    List<Integer> streams = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      streams.add(caller.request(true, "GET", "/d/up/v1/" + i));
    }
    Map<Integer, String> bodies = new HashMap<>();
    while (bodies.size() < streams.size()) {
      TestHttp2.Frame frame = caller.read();
      if (frame.type() == TestHttp2.HEADERS) {
        assertThat(caller.headers(frame).status()).hasToString("200");
      } else if (frame.type() == TestHttp2.DATA && frame.payload().length > 0) {
        bodies.put(frame.stream(), new String(frame.payload(), StandardCharsets.US_ASCII));
      }
    }
    for (int i = 0; i < streams.size(); i++) {
      assertThat(bodies.get(streams.get(i))).isEqualTo("/v1/" + i);
    }
  }

  @Test
  void trailers_arePassedOnFilteredAndMasked() throws Exception {
    script =
        (connection, stream, count) -> {
          connection.answer(stream, false, ":status", "200");
          connection.data(stream, false, "hello");
          connection.answer(
              stream,
              true,
              "grpc-status",
              "0",
              "x-echo",
              TestGateway.KEY,
              "set-cookie",
              "a=b",
              "content-encoding",
              "br",
              "valetkey-error",
              "x",
              "authorization",
              "x");
        };

    TestHttp2.Answer answer = get();

    assertThat(answer.body()).isEqualTo("hello");
    assertThat(answer.trailers().names().toString()).isEqualTo("[grpc-status, x-echo]");
    assertThat(answer.trailers().get("x-echo")).hasToString("*".repeat(TestGateway.KEY.length()));
  }

  @Test
  void streamThatIsReset_isNotTakenForTheWholeAnswer() throws Exception {
    for (int code : new int[] {0, 2, 8}) {
      script =
          (connection, stream, count) -> {
            connection.answer(stream, false, ":status", "200");
            connection.data(stream, false, "abc").reset(stream, code);
          };
      TestHttp2.Answer answer = get();
      assertThat(answer.isComplete()).as("reset with " + code).isFalse();
    }
    script = (connection, stream, count) -> connection.answer(stream, true, ":status", "204");
    assertThat(get().status()).isEqualTo(204);
  }

  @Test
  void connectionThatBreaks_isNotTakenForTheWholeAnswer() throws Exception {
    script =
        (connection, stream, count) -> {
          connection.answer(stream, false, ":status", "200").data(stream, false, "abc");
          connection.close();
        };
    assertThat(get().isComplete()).isFalse();
  }

  @Test
  void refusedStream_isTriedOnceMore_ifItHasNoBody() throws Exception {
    script =
        (connection, stream, count) -> {
          if (count == 1) {
            connection.reset(stream, 7);
          } else {
            connection.answer(stream, true, ":status", "200");
          }
        };
    assertThat(get().status()).isEqualTo(200);
    assertThat(requests).hasSize(2);

    script = (connection, stream, count) -> connection.reset(stream, 7);
    assertThat(get().status()).isEqualTo(502);
    assertThat(requests).hasSize(4);
    assertThat(caller.answer(caller.request(true, "POST", "/d/up/v1/a")).status()).isEqualTo(502);
    assertThat(requests).hasSize(5);
  }

  @Test
  void goAway_isFollowedByAnotherTry() throws Exception {
    script =
        (connection, stream, count) -> {
          if (count == 1) {
            connection.frame(TestHttp2.GOAWAY, 0, 0, new byte[8]);
            connection.close();
          } else {
            connection.answer(stream, true, ":status", "200");
          }
        };
    assertThat(get().status()).isEqualTo(200);
    assertThat(connections).hasValue(2);
  }

  @Test
  void upstreamsUnauthorized_isNeverPassedOn() throws Exception {
    script = (connection, stream, count) -> connection.answer(stream, true, ":status", "401");
    TestHttp2.Answer answer = get();
    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.header("valetkey-error")).isEqualTo("upstream_credential_rejected");
  }

  @Test
  void upstreamOfHttp1Only_isSpokenToByHttp1() throws Exception {
    try (var old =
            new TestUpstream(
                CERTIFICATES.valid("upstream.test"),
                (request, out) -> TestUpstream.ok(out, "<" + request.text() + ">"));
        var towards =
            new TestGateway(
                old.port(), CERTIFICATES.trust(), CERTIFICATES.validKeys("localhost"))) {
      towards.http2 = true;
      try (TestHttp2 one = TestHttp2.open(towards.server.port(), CERTIFICATES.trusting())) {
        int stream = one.request(false, "POST", "/d/up/v1/a");
        one.data(stream, true, "abc");
        assertThat(one.answer(stream).body()).isEqualTo("<abc>");
      }
    }
  }

  @Test
  void destinationThatDoesNotSaySo_isNotSpokenToByHttp2() throws Exception {
    gateway.http2 = false;
    script = (connection, stream, count) -> connection.answer(stream, true, ":status", "200");
    // This upstream understands nothing else.
    assertThat(get().status()).isEqualTo(502);
    assertThat(requests).isEmpty();
  }
}
