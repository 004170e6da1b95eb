package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.access.NeededApproval;
import io.valetkey.broker.policy.ApprovalTerms;
import io.valetkey.broker.problem.ProblemCode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
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
            raw("raw: double slash and encoded separators", "GET", "/v1//a/%2F/b%5cc/%2541;p?x=1"),
            raw("raw: canonical", "PUT", "/v1/a%20b"),
            raw("raw: above the prefix", "GET", "//v1/a"),
            raw("raw: prefix in other bytes", "GET", "/%761/a"),
            raw("raw: dot segments", "GET", "/v1/%252e%2e/a"),
            raw("raw: dot segments after a backslash", "GET", "/v1/x%5C..%5Ca"),
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
            changed(
                "approval",
                gateway ->
                    gateway.approval =
                        new NeededApproval(
                            "s", "g", new ApprovalTerms(Duration.ofMinutes(15), Duration.ZERO))),
            changed("address", gateway -> gateway.address = "169.254.169.254"))
        .stream()
        .map(one -> DynamicTest.dynamicTest(one.what(), () -> same(one)))
        .toList();
  }

  private static Case plain(String what, String method, String path) {
    return new Case(what, method, path, "", "", gateway -> {});
  }

  private static Case raw(String what, String method, String path) {
    return new Case(what, method, path, "", "", gateway -> gateway.rawPath = true);
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
    if (!Set.of("two framings", "two Hosts").contains(one.what())) {
      // The one cannot be said over HTTP/2, the other ends its stream without an answer.
      assertThat(guarded(over(Way.BASE_URL, one, ParityTest::askByHttp2)))
          .as("HTTP/2")
          .isEqualTo(guarded(expected));
      assertThat(guarded(over(Way.HOST, one, ParityTest::askByHttp2AtHost)))
          .as("HTTP/2 at a host")
          .isEqualTo(guarded(expected));
      assertThat(guarded(over(Way.INTERCEPT, one, ParityTest::askByHttp2InTunnel)))
          .as("HTTP/2 in a tunnel")
          .isEqualTo(guarded(expected));
    }
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

  /** What is refused before the HTTP/1.1 parser has taken no step yet. */
  private static Outcome guarded(Outcome outcome) {
    List<String> records =
        outcome.records().stream()
            .map(r -> r.replace("{step=guard, result=invalid_request, micros=N}", ""))
            .toList();
    return new Outcome(
        outcome.status(), outcome.code(), outcome.body(), outcome.upstream(), records);
  }

  private interface Asking {
    TestHttp.Answer ask(Case one, TestGateway gateway, String authority) throws Exception;
  }

  private static Outcome by(Way way, Case one) throws Exception {
    return over(way, one, (c, gateway, authority) -> ask(way, c, gateway, authority), null);
  }

  private static Outcome over(Way way, Case one, Asking asking) throws Exception {
    return over(way, one, asking, CERTIFICATES.validKeys("localhost"));
  }

  private static Outcome over(Way way, Case one, Asking asking, KeyManagerFactory own)
      throws Exception {
    try (var upstream =
            new TestUpstream(
                CERTIFICATES.valid(HOST),
                (request, out) -> {
                  String text = request.text();
                  TestUpstream.ok(out, request.requestLine().startsWith("HEAD") ? "" : text);
                });
        var gateway = new TestGateway(upstream.port(), CERTIFICATES.trust(), own)) {
      TestHttp.Answer answer = asking.ask(one, gateway, HOST + ":" + upstream.port());
      await().until(() -> !gateway.records.isEmpty() && gateway.live.size() == 0);
      return new Outcome(
          answer.status(),
          answer.header("valetkey-error"),
          answer.body().replaceAll("\"(decision_id|approval_id|approval_url)\":\"[^\"]+\"", ""),
          upstream.requests.stream()
              .map(seen -> withLowerNames(seen.head()).replace(":" + upstream.port(), ":PORT"))
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

  /** HTTP/2 has names of fields in lower case only. */
  private static String withLowerNames(String head) {
    return Pattern.compile("(?m)^[A-Za-z-]+:")
        .matcher(head)
        .replaceAll(name -> name.group().toLowerCase(Locale.ROOT));
  }

  private static TestHttp.Answer askByHttp2(Case one, TestGateway gateway, String authority)
      throws Exception {
    one.prepare().make(gateway);
    try (TestHttp2 caller = TestHttp2.open(gateway.server.port(), CERTIFICATES.trusting())) {
      return ask(caller, "/d/up" + one.path(), one, authority, "authorization", "Bearer good");
    }
  }

  private static TestHttp.Answer askByHttp2AtHost(Case one, TestGateway gateway, String authority)
      throws Exception {
    one.prepare().make(gateway);
    try (TestHttp2 caller = TestHttp2.open(gateway.server.port(), CERTIFICATES.trusting())) {
      return ask(caller, one.path(), one, "up.gateway.test", "authorization", "Bearer good");
    }
  }

  private static TestHttp.Answer askByHttp2InTunnel(Case one, TestGateway gateway, String authority)
      throws Exception {
    try (TestTunnel tunnel = TestTunnel.dial(gateway, authority, "good")) {
      TestHttp2 caller = TestHttp2.begin(tunnel.tls());
      one.prepare().make(gateway);
      return ask(caller, one.path(), one, authority);
    }
  }

  private static TestHttp.Answer ask(
      TestHttp2 caller, String path, Case one, String authority, String... token) throws Exception {
    List<String> fields =
        new ArrayList<>(
            List.of(
                ":method",
                one.method(),
                ":scheme",
                "https",
                ":authority",
                authority,
                ":path",
                path));
    boolean chunked = false;
    for (String line : one.fields().lines().toList()) {
      String name = line.substring(0, line.indexOf(':')).toLowerCase(Locale.ROOT);
      chunked |= name.equals("transfer-encoding");
      // Fields of a connection do not exist here, nor those that one names.
      if (!Set.of("transfer-encoding", "connection", "x-hop").contains(name)) {
        fields.addAll(List.of(name, line.substring(line.indexOf(':') + 1).strip()));
      }
    }
    fields.addAll(List.of(token));
    String body = chunked ? TestHttp.chunks(bytes(one.body())) : one.body();
    boolean bodyless = body.isEmpty() && !one.fields().contains("Content-Length");
    int stream = caller.begin(bodyless, fields.toArray(String[]::new));
    if (!body.isEmpty()) {
      caller.data(stream, true, body);
    }
    TestHttp2.Answer answer = caller.answer(stream);
    StringBuilder head = new StringBuilder();
    answer
        .head()
        .forEach(f -> head.append(f.getKey()).append(':').append(f.getValue()).append('\n'));
    return new TestHttp.Answer(answer.status(), head.toString(), answer.body());
  }

  private static InputStream bytes(String text) {
    return new ByteArrayInputStream(text.getBytes(StandardCharsets.ISO_8859_1));
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
    // Follows from the hash of the request, which has the port of this upstream in it.
    details.computeIfPresent("approval", (name, id) -> "ID");
    details.computeIfPresent(
        "detail", (name, why) -> why.toString().replaceAll("[0-9a-f-]{36}", "ID"));
    details.computeIfPresent(
        "steps", (name, steps) -> steps.toString().replaceAll("[0-9]+(\\.[0-9]+)?", "N"));
    return record.outcome() + " " + record.code() + " " + details;
  }
}
