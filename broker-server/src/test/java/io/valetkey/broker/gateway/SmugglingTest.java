package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;

/** Raw bytes with two meanings: each is answered 400 and the upstream never hears of it. */
@Timeout(60)
class SmugglingTest {

  private static TestUpstream upstream;
  private static TestGateway gateway;

  @BeforeAll
  static void start() throws Exception {
    var certificates = new TestCertificates();
    upstream =
        new TestUpstream(
            certificates.valid("upstream.test"),
            (request, out) -> TestUpstream.ok(out, request.text()));
    gateway = new TestGateway(upstream.port(), certificates.trust());
  }

  @AfterAll
  static void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  @TestFactory
  List<DynamicTest> bytes_whenTheyHaveTwoMeanings_areRefused() {
    String auth = "Authorization: Bearer good\r\n";
    String host = "Host: g\r\n" + auth;
    return Map.ofEntries(
            Map.entry("CL and TE", post(host, "Content-Length: 5\r\nTransfer-Encoding: chunked")),
            Map.entry("TE and CL", post(host, "Transfer-Encoding: chunked\r\nContent-Length: 5")),
            Map.entry("two CL", post(host, "Content-Length: 5\r\nContent-Length: 5")),
            Map.entry("two different CL", post(host, "Content-Length: 5\r\nContent-Length: 6")),
            Map.entry("CL list", post(host, "Content-Length: 5, 5")),
            Map.entry("CL plus", post(host, "Content-Length: +5")),
            Map.entry("CL hex", post(host, "Content-Length: 0x5")),
            Map.entry("CL empty", post(host, "Content-Length:")),
            Map.entry("TE twice", post(host, "Transfer-Encoding: chunked, chunked")),
            Map.entry("TE identity", post(host, "Transfer-Encoding: identity")),
            Map.entry("TE xchunked", post(host, "Transfer-Encoding: xchunked")),
            Map.entry("TE with space", post(host, "Transfer-Encoding : chunked")),
            Map.entry("TE with VT", post(host, "Transfer-Encoding: \u000bchunked")),
            Map.entry("obs-fold", get("/d/up/v1/a", host + "X-A: 1\r\n b\r\n")),
            Map.entry("obs-fold TAB", get("/d/up/v1/a", host + "X-A: 1\r\n\tb\r\n")),
            Map.entry("fold first", get("/d/up/v1/a", " X: 1\r\n" + host)),
            Map.entry("bare LF", get("/d/up/v1/a", host).replace("\r\n", "\n")),
            Map.entry("one bare LF", get("/d/up/v1/a", host + "X-A: 1\n")),
            Map.entry("bare CR", get("/d/up/v1/a", host + "X-A: 1\rX-B: 2\r\n")),
            Map.entry("NUL in value", get("/d/up/v1/a", host + "X-A: 1\0\r\n")),
            Map.entry("NUL in target", get("/d/up/v1/a\0", host)),
            Map.entry("TAB in request line", "GET\t/d/up/v1/a HTTP/1.1\r\n" + host + "\r\n"),
            Map.entry("TAB before version", "GET /d/up/v1/a\tHTTP/1.1\r\n" + host + "\r\n"),
            Map.entry("two spaces", "GET  /d/up/v1/a HTTP/1.1\r\n" + host + "\r\n"),
            Map.entry("space at the end", "GET /d/up/v1/a HTTP/1.1 \r\n" + host + "\r\n"),
            Map.entry("empty line first", "\r\nGET /d/up/v1/a HTTP/1.1\r\n" + host + "\r\n"),
            Map.entry("HTTP/1.0", "GET /d/up/v1/a HTTP/1.0\r\n" + host + "\r\n"),
            Map.entry("HTTP/0.9", "GET /d/up/v1/a\r\n"),
            Map.entry("h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            Map.entry("lower-case method", "get /d/up/v1/a HTTP/1.1\r\n" + host + "\r\n"),
            Map.entry("TRACE", "TRACE /d/up/v1/a HTTP/1.1\r\n" + host + "\r\n"),
            Map.entry("CONNECT", "CONNECT upstream.test:443 HTTP/1.1\r\n" + host + "\r\n"),
            Map.entry("no Host", get("/d/up/v1/a", auth)),
            Map.entry("two Hosts", get("/d/up/v1/a", host + "Host: h\r\n")),
            Map.entry("user in Host", get("/d/up/v1/a", "Host: a@b\r\n" + auth)),
            Map.entry("underscore", get("/d/up/v1/a", host + "X_A: 1\r\n")),
            Map.entry("no colon", get("/d/up/v1/a", host + "X-A\r\n")),
            Map.entry("empty name", get("/d/up/v1/a", host + ": 1\r\n")),
            Map.entry("body on GET", get("/d/up/v1/a", host + "Content-Length: 1\r\n") + "x"),
            Map.entry("absolute-form", get("http://g/d/up/v1/a", host)),
            Map.entry("other absolute-form", get("https://evil.test/d/up/v1/a", host)),
            Map.entry("dot segments", get("/d/up/v1/../v1/a", host)),
            Map.entry("encoded dots", get("/d/up/v1/%2e%2e/a", host)),
            Map.entry("double slash", get("/d/up//v1/a", host)),
            Map.entry("encoded slash", get("/d/up/v1%2fa", host)),
            Map.entry("double encoding", get("/d/up/v1/%252e%252e", host)),
            Map.entry("encoded NUL", get("/d/up/v1/a%00", host)),
            Map.entry("parameter", get("/d/up/v1/..;/a", host)),
            Map.entry("backslash", get("/d/up/v1\\a", host)),
            Map.entry("fragment", get("/d/up/v1/a#b", host)),
            Map.entry("raw non-ASCII", get("/d/up/v1/\u00e9", host)),
            Map.entry("overlong", get("/d/up/v1/%c0%af", host)),
            Map.entry("bad chunk size", chunked(host, "g\r\nx\r\n0\r\n\r\n")),
            Map.entry("negative chunk size", chunked(host, "-1\r\nx\r\n0\r\n\r\n")),
            Map.entry("chunk extension", chunked(host, "1;a=b\r\nx\r\n0\r\n\r\n")),
            Map.entry("chunk with bare LF", chunked(host, "1\nx\n0\n\n")),
            Map.entry("chunk without its end", chunked(host, "1\r\nxy\r\n0\r\n\r\n")),
            Map.entry("folded trailer", chunked(host, "0\r\nX-A: 1\r\n b\r\n\r\n")))
        .entrySet()
        .stream()
        .map(e -> DynamicTest.dynamicTest(e.getKey(), () -> refused(e.getValue())))
        .toList();
  }

  @Test
  void bytes_whenASecondRequestHidesInABody_areTheBody() throws Exception {
    String hidden = "GET /d/up/v1/hidden HTTP/1.1\r\n\r\n";
    try (TestHttp caller = gateway.caller()) {
      String length = "Content-Length: " + hidden.length() + "\r\n";
      caller.send(TestGateway.post("/d/up/v1/a", length, hidden));
      assertThat(caller.read().body()).isEqualTo(hidden);
      caller.send(TestGateway.post("/d/up/v1/a", "Transfer-Encoding: chunked\r\n", ""));
      caller.send(
          Integer.toHexString(hidden.length()) + "\r\n" + hidden + "\r\n0\r\nX-T: 1\r\n\r\n");
      assertThat(caller.read().body()).isEqualTo(hidden);
      // And the guard is in step again: pipelined requests are answered in order.
      caller.send(TestGateway.get("/d/up/v1/a") + TestGateway.get("/d/up/v1/b"));
      assertThat(caller.read().status()).isEqualTo(200);
      assertThat(caller.read().status()).isEqualTo(200);
    }
  }

  private static void refused(String bytes) throws Exception {
    int before = upstream.requests.size();
    try (TestHttp caller = gateway.caller()) {
      TestHttp.Answer answer = caller.send(bytes).read();
      assertThat(answer.status()).isEqualTo(400);
      assertThat(answer.header("valetkey-error")).isNotNull();
      assertThat(answer.header("connection")).isEqualTo("close");
      assertThat(caller.isClosed()).isTrue();
    }
    assertThat(upstream.requests).hasSize(before);
  }

  private static String get(String target, String fields) {
    return "GET " + target + " HTTP/1.1\r\n" + fields + "\r\n";
  }

  private static String post(String fields, String framing) {
    return "POST /d/up/v1/a HTTP/1.1\r\n" + fields + framing + "\r\n\r\n0\r\n\r\n";
  }

  private static String chunked(String fields, String body) {
    return "POST /d/up/v1/a HTTP/1.1\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n" + body;
  }
}
