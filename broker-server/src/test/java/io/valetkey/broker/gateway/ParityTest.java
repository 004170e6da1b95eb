package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.problem.ProblemCode;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;

/**
 * One request by each way in: the same answer, the same record but for the way, which it names, and
 * the same bytes at the upstream. Invariant: G16.
 */
@Timeout(120)
class ParityTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String HOST = "upstream.test";

  /**
   * A request without target, {@code Host} and token.
   *
   * @param prepare changes the gateway between CONNECT and request
   */
  private record Case(
      String what, String method, String path, String fields, String body, Change prepare) {}

  private interface Change {
    void make(TestGateway gateway);
  }

  /** All that came of it. */
  private record Outcome(
      int status, String code, String body, List<String> upstream, List<String> records) {}

  @TestFactory
  List<DynamicTest> everyWay_comesToTheSame() {
    return List.of(
            plain("allowed", "GET", "/v1/a"),
            plain("query with a key", "GET", "/v1/a?x=1&key=mine&y=%41"),
            plain("escapes as they are", "GET", "/v1/a%20b/%7Ec"),
            plain("HEAD", "HEAD", "/v1/a"),
            body("body", "POST", "/v1/a", "Content-Length: 3\r\n", "abc"),
            body(
                "chunks",
                "PUT",
                "/v1/a",
                "Transfer-Encoding: chunked\r\n",
                "3\r\nabc\r\n0\r\n\r\n"),
            body(
                "keys of the caller and hops",
                "GET",
                "/v1/a",
                "Cookie: c\r\nConnection: X-Hop\r\nX-Hop: 1\r\nVia: x\r\nForwarded: for=1\r\n"
                    + "X-HTTP-Method-Override: DELETE\r\nX-Keep: 1\r\nTraceparent: 00-x\r\n",
                ""),
            plain("path that is not allowed", "GET", "/v2/a"),
            plain("method that there is not", "TRACE", "/v1/a"),
            plain("dot segments", "GET", "/v1/../v1/a"),
            plain("double slash", "GET", "/v1//a"),
            plain("encoded slash", "GET", "/v1%2fa"),
            plain("double encoding", "GET", "/v1/%252e"),
            plain("path parameter", "GET", "/v1/..;/a"),
            plain("fragment", "GET", "/v1/a#f"),
            body("two Hosts", "GET", "/v1/a", "Host: upstream.test\r\n", ""),
            body("underscore", "GET", "/v1/a", "X_A: 1\r\n", ""),
            body("body on GET", "GET", "/v1/a", "Content-Length: 1\r\n", "x"),
            body(
                "two framings",
                "POST",
                "/v1/a",
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                "x"),
            body("expectation", "POST", "/v1/a", "Expect: x\r\nContent-Length: 1\r\n", "x"),
            body("too large", "POST", "/v1/a", "Content-Length: 9999999\r\n", ""),
            changed("stopped agent", gateway -> gateway.stopped = true),
            changed("token that has ended", gateway -> gateway.ended.add("good")),
            changed("stale stops", gateway -> gateway.undecidable = ProblemCode.STOPS_STALE),
            changed("limit", gateway -> gateway.undecidable = ProblemCode.RATE_LIMITED),
            changed("no such grant", gateway -> gateway.undecidable = ProblemCode.NOT_GRANTED),
            changed("address", gateway -> gateway.address = "169.254.169.254"))
        .stream()
        .map(one -> DynamicTest.dynamicTest(one.what(), () -> same(one)))
        .toList();
  }

  private static Case plain(String what, String method, String path) {
    return new Case(what, method, path, "", "", gateway -> {});
  }

  private static Case body(String what, String method, String path, String fields, String body) {
    return new Case(what, method, path, fields, body, gateway -> {});
  }

  private static Case changed(String what, Change change) {
    return new Case(what, "GET", "/v1/a", "", "", change);
  }

  private static void same(Case one) throws Exception {
    Outcome expected = by(Way.BASE_URL, one);
    assertThat(by(Way.HOST, one)).isEqualTo(expected);
    assertThat(by(Way.INTERCEPT, one)).isEqualTo(expected);
    Outcome absolute = by(Way.ABSOLUTE_FORM, one);
    if (expected.status() == 401) {
      // The one thing that differs: a proxy asks for the token in its own words.
      assertThat(absolute.status()).isEqualTo(407);
      assertThat(absolute.code()).isEqualTo("proxy_unauthorized");
      assertThat(absolute.records()).isEqualTo(expected.records());
    } else {
      assertThat(absolute).isEqualTo(expected);
    }
  }

  private static Outcome by(Way way, Case one) throws Exception {
    try (var upstream =
            new TestUpstream(
                CERTIFICATES.valid(HOST),
                (request, out) -> {
                  String text = request.text();
                  TestUpstream.ok(out, request.requestLine().startsWith("HEAD") ? "" : text);
                });
        var gateway = new TestGateway(upstream.port(), CERTIFICATES.trust())) {
      TestHttp.Answer answer = ask(way, one, gateway, HOST + ":" + upstream.port());
      await().until(() -> !gateway.records.isEmpty() && gateway.live.size() == 0);
      return new Outcome(
          answer.status(),
          answer.header("valetkey-error"),
          answer.body().replaceAll("\"decision_id\":\"[^\"]+\"", ""),
          upstream.requests.stream()
              .map(seen -> seen.head().replace(":" + upstream.port(), ":PORT"))
              .toList(),
          gateway.records.stream().map(record -> text(way, record)).toList());
    }
  }

  private static TestHttp.Answer ask(Way way, Case one, TestGateway gateway, String authority)
      throws Exception {
    String rest = " HTTP/1.1\r\nHost: " + authority + "\r\n" + one.fields();
    boolean head = one.method().equals("HEAD");
    return switch (way) {
      case BASE_URL -> {
        one.prepare().make(gateway);
        try (TestHttp caller = gateway.caller()) {
          String target = one.method() + " /d/up" + one.path();
          String bytes = target + rest + "Authorization: Bearer good\r\n\r\n" + one.body();
          yield caller.send(bytes).read(head);
        }
      }
      case HOST -> {
        one.prepare().make(gateway);
        try (TestHttp caller = gateway.caller()) {
          String bytes =
              one.method()
                  + " "
                  + one.path()
                  + " HTTP/1.1\r\nHost: up.gateway.test\r\n"
                  + one.fields()
                  + "Authorization: Bearer good\r\n\r\n"
                  + one.body();
          yield caller.send(bytes).read(head);
        }
      }
      case ABSOLUTE_FORM -> {
        one.prepare().make(gateway);
        try (TestHttp caller = gateway.proxyCaller()) {
          String target = one.method() + " https://" + authority + one.path();
          String bytes = target + rest + "Proxy-Authorization: Bearer good\r\n\r\n" + one.body();
          yield caller.send(bytes).read(head);
        }
      }
      case INTERCEPT -> {
        try (TestTunnel tunnel = TestTunnel.open(gateway, authority, "good")) {
          one.prepare().make(gateway);
          yield tunnel
              .send(one.method() + " " + one.path() + rest + "\r\n" + one.body())
              .read(head);
        }
      }
      case TUNNEL -> throw new IOException("not a way of requests");
    };
  }

  /** A record without what must differ: ids, times, the way, and how the target was written. */
  private static String text(Way way, TestGateway.Written record) {
    Map<String, Object> details = new TreeMap<>(record.details());
    Object origin = details.remove("origin");
    // Bytes that are no request have no Host yet that could say it was that way.
    boolean unread = way == Way.HOST && record.code() == ProblemCode.INVALID_REQUEST;
    assertThat(details.remove("way")).isIn(way.word(), unread ? Way.BASE_URL.word() : way.word());
    if (record.code() == ProblemCode.TOKEN_EXPIRED) {
      // By the base URL the destination stands in the path, otherwise in the token alone.
      assertThat(details.remove("destination") == null).isEqualTo(origin != null);
    }
    if (details.get("destination") == null && origin != null) {
      details.remove("destination");
    }
    details.computeIfPresent("granted_as", (name, id) -> "ID");
    details.computeIfPresent(
        "steps", (name, steps) -> steps.toString().replaceAll("[0-9]+(\\.[0-9]+)?", "N"));
    return record.outcome() + " " + record.code() + " " + details;
  }
}
