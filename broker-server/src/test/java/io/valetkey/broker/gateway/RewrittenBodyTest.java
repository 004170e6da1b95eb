package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Addresses in the texts of answers, where a destination says that they are replaced. */
@Timeout(60)
class RewrittenBodyTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String OURS = "https://gateway.test/d/up";

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream = new TestUpstream(CERTIFICATES.valid("upstream.test"), (request, out) -> {});
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
    gateway.rewriteBodies = true;
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  private String theirs() {
    return "https://upstream.test:" + upstream.port();
  }

  private String json() {
    return "{\"next\":\"%s/v1/b\",\"escaped\":\"%s\",\"key\":\"%s\",\"other\":\"%s.evil/\"}"
        .formatted(theirs(), theirs().replace("/", "\\/"), TestGateway.KEY, theirs());
  }

  private String rewritten(String ours) {
    return "{\"next\":\"%s/v1/b\",\"escaped\":\"%s\",\"key\":\"%s\",\"other\":\"%s.evil/\"}"
        .formatted(ours, ours.replace("/", "\\/"), "*".repeat(TestGateway.KEY.length()), theirs());
  }

  private void answer(String head, String body) {
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out,
                head
                    + "Content-Length: "
                    + body.length()
                    + "\r\n\r\n"
                    + (request.requestLine().startsWith("HEAD") ? "" : body));
  }

  private TestHttp.Answer ask(String request) throws Exception {
    try (TestHttp caller = gateway.caller()) {
      return caller.send(request).read(request.startsWith("HEAD"));
    }
  }

  @Test
  void json_namesTheGateway_andPromisesNoOtherBytes() throws Exception {
    answer(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nETag: \"v1\"\r\n"
            + "Content-MD5: x\r\nRepr-Digest: x\r\nAccept-Ranges: bytes\r\n",
        json());
    TestHttp.Answer answer = ask(TestGateway.get("/d/up/v1/a"));
    assertThat(answer.body()).isEqualTo(rewritten(OURS));
    assertThat(answer.header("etag")).isEqualTo("W/\"v1\"");
    for (String gone :
        new String[] {"content-length", "content-md5", "repr-digest", "accept-ranges"}) {
      assertThat(answer.header(gone)).as(gone).isNull();
    }
  }

  @Test
  void json_byTheHost_namesTheHost() throws Exception {
    answer("HTTP/1.1 200 OK\r\nContent-Type: application/hal+json\r\n", json());
    String request =
        "GET /v1/a HTTP/1.1\r\nHost: up.gateway.test\r\nAuthorization: Bearer good\r\n\r\n";
    assertThat(ask(request).body()).isEqualTo(rewritten("https://up.gateway.test"));
  }

  @Test
  void json_throughTheForwardProxy_namesTheUpstream() throws Exception {
    answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", json());
    String authority = "upstream.test:" + upstream.port();
    try (TestTunnel tunnel = TestTunnel.open(gateway, authority, "good")) {
      assertThat(tunnel.send("GET /v1/a HTTP/1.1\r\nHost: " + authority + "\r\n\r\n").read().body())
          .contains(theirs() + "/v1/b")
          .doesNotContain(OURS);
    }
  }

  @Test
  void json_whereTheDestinationDoesNotSaySo_isLeftAsItIs() throws Exception {
    gateway.rewriteBodies = false;
    answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"v1\"\r\n", json());
    TestHttp.Answer answer = ask(TestGateway.get("/d/up/v1/a"));
    assertThat(answer.body()).hasSameSizeAs(json()).contains(theirs() + "/v1/b");
    assertThat(answer.header("etag")).isEqualTo("\"v1\"");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\n"
            + "Content-Range: bytes 0-9/100\r\n",
      })
  void body_thatIsNoWholeText_isLeftAsItIs(String head) throws Exception {
    answer(head + "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\n", json());
    TestHttp.Answer answer = ask(TestGateway.get("/d/up/v1/a"));
    assertThat(answer.body()).hasSameSizeAs(json()).contains(theirs() + "/v1/b");
    assertThat(answer.header("etag")).isEqualTo("\"v1\"");
    assertThat(answer.header("accept-ranges")).isEqualTo("bytes");
  }

  @Test
  void head_and304_sayWhatAGetSays() throws Exception {
    answer("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"v1\"\r\n", json());
    TestHttp.Answer head = ask(TestGateway.get("/d/up/v1/a").replace("GET", "HEAD"));
    assertThat(head.header("content-length")).isNull();
    assertThat(head.header("etag")).isEqualTo("W/\"v1\"");
    upstream.script =
        (request, out) ->
            TestUpstream.raw(out, "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n");
    assertThat(ask(TestGateway.get("/d/up/v1/a")).header("etag")).isEqualTo("W/\"v1\"");
  }

  @Test
  void gzip_isUnpackedMaskedAndRewritten() throws Exception {
    byte[] packed = TestUpstream.gzip(json());
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(
              out,
              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
                  + "Content-Length: "
                  + packed.length
                  + "\r\n\r\n");
          out.write(packed);
        };
    assertThat(ask(TestGateway.get("/d/up/v1/a")).body()).isEqualTo(rewritten(OURS));
  }

  @Test
  void request_isNeverRewritten() throws Exception {
    upstream.script =
        (request, out) -> TestUpstream.ok(out, String.valueOf(request.text().contains(OURS)));
    String body = "{\"callback\":\"" + OURS + "/v1/b\",\"x\":\"" + theirs() + "/\"}";
    String fields = "Content-Length: " + body.length() + "\r\n";
    assertThat(ask(TestGateway.post("/d/up/v1/a", fields, body)).body()).isEqualTo("true");
  }

  /** The upstream sends the next piece only when the caller has what was certain of the last. */
  @Test
  void events_areNotDelayed_beyondABeginningOfTheAddress() throws Exception {
    Semaphore told = new Semaphore(0);
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(
              out,
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
          chunk(out, "data: 1\n\n", told);
          chunk(out, "data: https://upstr", told);
          chunk(out, "ange\n\ndata: " + theirs(), told);
          chunk(out, "/x\n\n", told);
          TestUpstream.raw(out, "0\r\n\r\n");
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      TestHttp.head(caller.in);
      for (String certain :
          new String[] {
            "data: 1\n\n", "data: ", "https://upstrange\n\ndata: ", OURS + "/x\n\n",
          }) {
        assertThat(TestHttp.chunk(caller.in)).isEqualTo(certain);
        told.release();
      }
      assertThat(TestHttp.chunk(caller.in)).isEmpty();
    }
  }

  private static void chunk(OutputStream out, String text, Semaphore told) throws Exception {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    TestUpstream.raw(out, Integer.toHexString(bytes.length) + "\r\n" + text + "\r\n");
    if (!told.tryAcquire(1, TimeUnit.MINUTES)) {
      throw new IOException("the caller did not get it");
    }
  }
}
