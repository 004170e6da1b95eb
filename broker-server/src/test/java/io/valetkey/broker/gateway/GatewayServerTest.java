package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.CredentialFields;
import java.io.IOException;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The whole gateway between plain sockets and a real TLS upstream. */
@Timeout(30)
class GatewayServerTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid("upstream.test"),
            (request, out) -> TestUpstream.ok(out, "<" + request.text() + ">"));
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  @Test
  void request_whenAllowed_carriesTheCredentialAndNotTheToken() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      caller.send(
          "POST /d/up/v1/chat?key=mine&a=%41 HTTP/1.1\r\nHost: g\r\nx-api-key: good\r\nCookie: c\r\n"
              + "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Forwarded-For: 1.2.3.4\r\nVia: x\r\n"
              + "X-HTTP-Method-Override: DELETE\r\nAccept-Encoding: gzip, br\r\nAccept: a/b\r\n"
              + "Content-Length: 3\r\n\r\nabc");
      TestHttp.Answer answer = caller.read();
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.body()).isEqualTo("<abc>");
      assertThat(answer.header("Valetkey-Error")).isNull();
    }
    TestUpstream.Received seen = upstream.requests.getFirst();
    assertThat(seen.requestLine()).isEqualTo("POST /v1/chat?a=%41 HTTP/1.1");
    assertThat(seen.values("authorization")).containsExactly("Bearer " + TestGateway.KEY);
    assertThat(seen.values("host")).containsExactly("upstream.test:" + upstream.port());
    assertThat(seen.values("accept-encoding")).containsExactly("identity");
    assertThat(seen.values("accept")).containsExactly("a/b");
    assertThat(seen.head().toLowerCase(java.util.Locale.ROOT))
        .doesNotContain("good", "cookie", "x-hop", "forwarded", "via", "override", "x-api-key");
    assertThat(gateway.records).extracting(TestGateway.Written::outcome).containsExactly("granted");
  }

  @Test
  void answer_losesCookiesAndEchoesAndPointsToUs() throws Exception {
    upstream.script =
        (request, out) -> {
          String body =
              "x"
                  + TestGateway.KEY
                  + "y"
                  + Base64.getEncoder().encodeToString(("u:" + TestGateway.KEY).getBytes());
          TestUpstream.raw(
              out,
              "HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nAlt-Svc: h3\r\nWWW-Authenticate: Basic\r\n"
                  + "X-Echo: Bearer "
                  + TestGateway.KEY
                  + "\r\nX-Keep: 1\r\nValetkey-Error: no\r\n"
                  + "Location: https://upstream.test:"
                  + upstream.port()
                  + "/v1/next?p=2\r\n"
                  + "Content-Length: "
                  + body.length()
                  + "\r\n\r\n"
                  + body);
        };
    try (TestHttp caller = gateway.caller()) {
      TestHttp.Answer answer = caller.send(TestGateway.get("/d/up/v1/a")).read();
      assertThat(answer.status()).isEqualTo(302);
      assertThat(answer.header("location")).isEqualTo("https://gateway.test/d/up/v1/next?p=2");
      assertThat(answer.header("x-keep")).isEqualTo("1");
      assertThat(answer.header("x-echo"))
          .isEqualTo("Bearer " + "*".repeat(TestGateway.KEY.length()));
      assertThat(answer.head()).doesNotContain("Set-Cookie", "Alt-Svc", "WWW-", "Valetkey-Error");
      assertThat(answer.body()).startsWith("x" + "*".repeat(TestGateway.KEY.length()) + "y");
      assertThat(answer.body().substring(TestGateway.KEY.length() + 2)).contains("*".repeat(30));
    }
  }

  @Test
  void severalSlots_eachCarryTheirField_andNoneOfThemIsTheCallersOrComesBack() throws Exception {
    gateway.injection =
        Destination.Injection.into(
            List.of(
                new Destination.Slot("DD-API-KEY", "", "", null, "api_key"),
                new Destination.Slot("DD-APPLICATION-KEY", "", "", null, "app_key")));
    gateway.fields =
        CredentialFields.of(
            Map.of(
                "api_key", SecretValue.of("canary-of-the-api"),
                "app_key", SecretValue.of("canary-of-the-app")));
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out,
                "HTTP/1.1 200 OK\r\nDD-APPLICATION-KEY: x\r\ndd-api-key: x\r\n"
                    + "X-Echo: canary-of-the-app\r\nContent-Length: 37\r\n\r\n"
                    + "<canary-of-the-api, canary-of-the-app>".substring(0, 37));
    try (TestHttp caller = gateway.caller()) {
      TestHttp.Answer answer =
          caller
              .send(
                  "GET /d/up/v1/a HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer good\r\n"
                      + "dd-api-key: mine\r\nDD-Application-Key: mine\r\n\r\n")
              .read();
      assertThat(answer.header("dd-application-key")).isNull();
      assertThat(answer.header("dd-api-key")).isNull();
      assertThat(answer.header("x-echo")).isEqualTo("*".repeat(17));
      assertThat(answer.body()).isEqualTo("<" + "*".repeat(17) + ", " + "*".repeat(17));
    }
    TestUpstream.Received seen = upstream.requests.getFirst();
    assertThat(seen.values("dd-api-key")).containsExactly("canary-of-the-api");
    assertThat(seen.values("dd-application-key")).containsExactly("canary-of-the-app");
    assertThat(seen.values("authorization")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 28})
  void answer_whenTheEchoIsSplitOverChunks_isScrubbed(int size) throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
          String body = "data: " + TestGateway.KEY + "!";
          for (int i = 0; i < body.length(); i += size) {
            String part = body.substring(i, Math.min(body.length(), i + size));
            TestUpstream.raw(out, Integer.toHexString(part.length()) + "\r\n" + part + "\r\n");
          }
          TestUpstream.raw(out, "0\r\n\r\n");
        };
    try (TestHttp caller = gateway.caller()) {
      assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().body())
          .isEqualTo("data: " + "*".repeat(TestGateway.KEY.length()) + "!");
    }
  }

  /** The last piece waits for the end of the answer, and what the scrubber held comes with it. */
  @ParameterizedTest
  @ValueSource(strings = {"", "x", "all of it", "begins like sk-real-0123", "ends: sk-", "s"})
  void answer_ofStatedLength_arrivesWholeHoweverItIsCut(String body) throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, "HTTP/1.1 200 OK\r\nContent-Length: " + body.length() + "\r\n\r\n");
          for (int i = 0; i < body.length(); i += 3) {
            TestUpstream.raw(out, body.substring(i, Math.min(body.length(), i + 3)));
            Thread.sleep(5);
          }
        };
    try (TestHttp caller = gateway.caller()) {
      for (int i = 0; i < 2; i++) {
        TestHttp.Answer answer = caller.send(TestGateway.get("/d/up/v1/a")).read();
        assertThat(answer.body()).isEqualTo(body);
        assertThat(answer.header("content-length")).isEqualTo(String.valueOf(body.length()));
      }
    }
  }

  @Test
  void answer_whenGzippedUnasked_isUnpackedAndScrubbed() throws Exception {
    upstream.script =
        (request, out) -> {
          byte[] body = TestUpstream.gzip("key " + TestGateway.KEY);
          TestUpstream.raw(
              out,
              "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
                  + body.length
                  + "\r\n\r\n");
          out.write(body);
        };
    try (TestHttp caller = gateway.caller()) {
      TestHttp.Answer answer = caller.send(TestGateway.get("/d/up/v1/a")).read();
      assertThat(answer.header("content-encoding")).isNull();
      assertThat(answer.body()).isEqualTo("key " + "*".repeat(TestGateway.KEY.length()));
    }
  }

  @Test
  void answer_whenCodedInAnotherWay_isRefused() throws Exception {
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx");
    problem(TestGateway.get("/d/up/v1/a"), 502, ProblemCode.UPSTREAM_BROKEN);
  }

  @Test
  void sse_deliversEachEventBeforeTheNextOneIsSent() throws Exception {
    CountDownLatch firstArrived = new CountDownLatch(1);
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(
              out,
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  + "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
          assertThat(firstArrived.await(5, TimeUnit.SECONDS)).isTrue();
          TestUpstream.raw(out, "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/events"));
      assertThat(TestHttp.head(caller.in)).startsWith("HTTP/1.1 200");
      assertThat(TestHttp.chunk(caller.in)).isEqualTo("data: 1\n\n");
      firstArrived.countDown();
      assertThat(TestHttp.chunk(caller.in)).isEqualTo("data: 2\n\n");
      assertThat(TestHttp.chunk(caller.in)).isEmpty();
    }
  }

  @Test
  void upload_streamsWithoutBufferingAndSupportsExpect() throws Exception {
    CompletableFuture<String> first = new CompletableFuture<>();
    upstream.script =
        (request, out) -> {
          first.complete(TestHttp.chunk(request.body()));
          TestUpstream.ok(out, TestHttp.chunks(request.body()));
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(
          TestGateway.post(
              "/d/up/v1/a", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", ""));
      assertThat(caller.read().status()).isEqualTo(100);
      caller.send("3\r\none\r\n");
      assertThat(first.get(5, TimeUnit.SECONDS)).isEqualTo("one");
      caller.send("3\r\ntwo\r\n0\r\n\r\n");
      assertThat(caller.read().body()).isEqualTo("two");
    }
  }

  /** Nobody has asked for trailers, and whoever reads fields could take them for a header's. */
  @Test
  void trailers_ofTheRequest_goNowhereAndNothingHidesInThem() throws Exception {
    List<String> bodies = new CopyOnWriteArrayList<>();
    upstream.script =
        (request, out) -> {
          StringBuilder raw = new StringBuilder();
          while (!raw.toString().endsWith("0\r\n\r\n")) {
            raw.append((char) request.body().read());
          }
          bodies.add(raw.toString());
          TestUpstream.ok(out, "ok");
        };
    try (TestHttp caller = gateway.caller()) {
      for (int i = 0; i < 2; i++) {
        caller.send(
            TestGateway.post(
                "/d/up/v1/a",
                "Trailer: Authorization, X-T\r\nTransfer-Encoding: chunked\r\n",
                "3\r\nabc\r\n0\r\nX-T: 1\r\nAuthorization: Bearer mine\r\nHost: evil\r\n"
                    + "Content-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assertThat(caller.read().body()).isEqualTo("ok");
      }
    }
    assertThat(bodies).containsOnly("3\r\nabc\r\n0\r\n\r\n");
    assertThat(upstream.requests).hasSize(2);
    assertThat(upstream.requests)
        .allSatisfy(seen -> assertThat(seen.head()).doesNotContain("Trailer", "mine", "X-T"));
  }

  @Test
  void trailers_ofTheAnswer_doNotReachTheCaller() throws Exception {
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out,
                "HTTP/1.1 200 OK\r\nTrailer: X-Echo\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
                    + "X-Echo: "
                    + TestGateway.KEY
                    + "\r\nSet-Cookie: a=b\r\n\r\n");
    try (TestHttp caller = gateway.caller()) {
      for (int i = 0; i < 2; i++) {
        caller.send(TestGateway.get("/d/up/v1/a"));
        String head = TestHttp.head(caller.in);
        // The second one begins right after the last chunk of the first.
        assertThat(head).startsWith("HTTP/1.1 200").doesNotContain("Trailer");
        assertThat(TestHttp.chunks(caller.in)).isEqualTo("abc");
      }
    }
    assertThat(upstream.connections).hasValue(1);
  }

  @Test
  void expect_whenTheRequestIsRefused_getsNoContinue() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      caller.send(
          TestGateway.post("/d/up/v2/a", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
      TestHttp.Answer answer = caller.read();
      assertThat(answer.status()).isEqualTo(403);
      assertThat(answer.header("connection")).isEqualTo("close");
    }
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void expect_isAnsweredByUsAndNeverSentOn() throws Exception {
    upstream.script =
        (request, out) -> {
          // What the upstream says before its answer is for us alone.
          TestUpstream.raw(out, "HTTP/1.1 100 Continue\r\n\r\n");
          TestUpstream.raw(out, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
          TestUpstream.ok(out, request.text());
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(
          TestGateway.post("/d/up/v1/a", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
      assertThat(caller.read().status()).isEqualTo(100);
      caller.send("abc");
      TestHttp.Answer answer = caller.read();
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.body()).isEqualTo("abc");
    }
    assertThat(upstream.requests.getFirst().values("expect")).isEmpty();
  }

  @Test
  void upload_whenTheUpstreamDoesNotRead_holdsTheCallerBack() throws Exception {
    CountDownLatch done = new CountDownLatch(1);
    upstream.script = (request, out) -> done.await();
    try (TestHttp caller = gateway.caller()) {
      caller.socket.setSendBufferSize(16 * 1024);
      caller.send(TestGateway.post("/d/up/v1/a", "Content-Length: 1048576\r\n", ""));
      CompletableFuture<Void> sent =
          CompletableFuture.runAsync(() -> {
            try {
              caller.send("x".repeat(1 << 20));
            } catch (IOException e) {
              // Closed at the end of the test.
            }
          });
      Thread.sleep(300);
      // Loopback buffers may take all of it; what counts is that nothing failed and nothing grew.
      assertThat(sent.isCompletedExceptionally()).isFalse();
      assertThat(gateway.live.size()).isEqualTo(1);
    }
    done.countDown();
  }

  @ParameterizedTest
  @CsvSource({"HEAD,200", "GET,204", "GET,304"})
  void answer_whenItHasNoBody_keepsTheConnection(String method, int status) throws Exception {
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out,
                "HTTP/1.1 "
                    + status
                    + " X\r\nETag: \"1\"\r\n"
                    + (status == 204 ? "" : "Content-Length: 5\r\n")
                    + "\r\n");
    try (TestHttp caller = gateway.caller()) {
      for (int i = 0; i < 2; i++) {
        TestHttp.Answer answer =
            caller.send(TestGateway.get("/d/up/v1/a").replace("GET ", method + " ")).read(true);
        assertThat(answer.status()).isEqualTo(status);
        assertThat(answer.header("etag")).isEqualTo("\"1\"");
        assertThat(answer.header("content-length")).isEqualTo(status == 204 ? null : "5");
      }
    }
    assertThat(upstream.connections).hasValue(1);
  }

  @Test
  void connections_areReusedOnBothSidesAndOnlyTheFirstUseIsARecord() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      for (int i = 0; i < 5; i++) {
        assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().body()).isEqualTo("<>");
      }
    }
    assertThat(upstream.connections).hasValue(1);
    assertThat(gateway.records).extracting(TestGateway.Written::outcome).containsExactly("granted");
    gateway.server.stop();
    await().until(() -> gateway.records.size() == 2);
    assertThat(gateway.records.getLast().details()).containsEntry("count", 4L);
  }

  @Test
  void token_whenMissingOrBad_isChallengedAlikeForEveryDestination() throws Exception {
    for (String name : List.of("up", "unknown")) {
      String plain = "GET /d/" + name + "/v1/a HTTP/1.1\r\nHost: g\r\n\r\n";
      assertThat(problem(plain, 401, ProblemCode.UNAUTHORIZED).header("www-authenticate"))
          .isEqualTo("Bearer realm=\"valetkey\"");
      String bad = TestGateway.get("/d/" + name + "/v1/a").replace("good", "bad");
      assertThat(problem(bad, 401, ProblemCode.INVALID_TOKEN).header("www-authenticate"))
          .isEqualTo("Bearer realm=\"valetkey\", error=\"invalid_token\"");
    }
    assertThat(gateway.lookups).hasValue(0);
  }

  @Test
  void problem_whenTheMethodIsHead_hasNoBodyAndKeepsTheConnection() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      caller.send("HEAD /d/up/v1/a HTTP/1.1\r\nHost: g\r\n\r\n");
      assertThat(caller.read(true).status()).isEqualTo(401);
      assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().status()).isEqualTo(200);
    }
  }

  @Test
  void bytes_whenTheyAreBadBehindARunningAnswer_getNothingIntoIt() throws Exception {
    endless();
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      TestHttp.head(caller.in);
      caller.send("GET\t/ HTTP/1.1\r\n");
      StringBuilder rest = new StringBuilder();
      try {
        for (int c = caller.in.read(); c >= 0; c = caller.in.read()) {
          rest.append((char) c);
        }
      } catch (IOException e) {
        // Reset is as good as closed.
      }
      assertThat(rest.toString().replace("1\r\nx\r\n", "")).isEmpty();
    }
  }

  @Test
  void rawPath_withoutAGoodToken_isAnsweredAlikeWhateverTheDestinationTakes() throws Exception {
    for (boolean raw : new boolean[] {false, true}) {
      gateway.rawPath = raw;
      String path = "/v1//a%2Fb";
      problem(
          TestGateway.get("/d/up" + path).replace("good", "expired"),
          401,
          ProblemCode.INVALID_TOKEN);
      problem(TestGateway.get("/d/other" + path), 404, ProblemCode.NOT_FOUND);
      problem(TestGateway.get("/d/up/v1/%2E./a"), 400, ProblemCode.INVALID_PATH);
    }
    assertThat(upstream.connections).hasValue(0);
    gateway.rawPath = false;
    problem(TestGateway.get("/d/up/v1//a%2Fb"), 400, ProblemCode.INVALID_PATH);
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void request_whenNotAllowed_isRefusedBeforeDnsAndCredential() throws Exception {
    problem(TestGateway.get("/d/up/v2/a"), 403, ProblemCode.INSUFFICIENT_SCOPE);
    problem(TestGateway.get("/d/other/v1/a"), 404, ProblemCode.NOT_FOUND);
    problem(
        TestGateway.get("/d/up/v1/a").replace("Host: g", "Host: g\r\nx-api-key: good"),
        400,
        ProblemCode.SEVERAL_TOKENS);
    problem(TestGateway.get("/d/up/v1/../a"), 400, ProblemCode.INVALID_PATH);
    problem(
        TestGateway.post("/d/up/v1/a", "Expect: x\r\nContent-Length: 0\r\n", ""),
        417,
        ProblemCode.EXPECTATION_FAILED);
    problem(
        TestGateway.post("/d/up/v1/a", "Content-Length: 1048577\r\n", ""),
        413,
        ProblemCode.CONTENT_TOO_LARGE);
    problem(
        TestGateway.post("/d/up/v1/a", "X-Big: " + "x".repeat(40_000) + "\r\n", ""),
        431,
        ProblemCode.HEADERS_TOO_LARGE);
    assertThat(gateway.lookups).hasValue(0);
    assertThat(gateway.fetches).hasValue(0);
    assertThat(upstream.connections).hasValue(0);
    assertThat(gateway.records)
        .hasSize(7)
        .allSatisfy(r -> assertThat(r.outcome()).isEqualTo("refused"));
    assertThat(gateway.records.getFirst().details()).containsKey("steps");
  }

  @ParameterizedTest
  @EnumSource(
      value = ProblemCode.class,
      names = {"STOPS_STALE", "RATE_LIMITED", "POLICY_STALE"})
  void request_whenItCannotBeDecidedOrIsLimited_saysWhen(ProblemCode code) throws Exception {
    gateway.undecidable = code;
    assertThat(problem(TestGateway.get("/d/up/v1/a"), code.status(), code).header("retry-after"))
        .isNotNull();
  }

  @Test
  void request_whenTheRecordCannotBeWritten_sendsNothing() throws Exception {
    gateway.auditDown = true;
    problem(TestGateway.get("/d/up/v1/a"), 503, ProblemCode.AUDIT_UNAVAILABLE);
    assertThat(upstream.connections).hasValue(0);
    assertThat(gateway.fetches).hasValue(0);
  }

  @Test
  void upload_whenChunksGrowBeyondTheLimit_isRefused() throws Exception {
    upstream.script = (request, out) -> TestHttp.chunks(request.body());
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.post("/d/up/v1/a", "Transfer-Encoding: chunked\r\n", ""));
      caller.send("100001\r\n" + "x".repeat(0x100001) + "\r\n");
      assertThat(caller.read().status()).isEqualTo(413);
      assertThat(caller.isClosed()).isTrue();
    }
    await().until(() -> upstream.closedByPeer.get() == 1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"10.0.0.1", "169.254.169.254", "::ffff:192.168.0.1"})
  void connect_whenTheAddressIsNotAllowed_sendsNothing(String address) throws Exception {
    gateway.address = address;
    problem(TestGateway.get("/d/up/v1/a"), 502, ProblemCode.UPSTREAM_ADDRESS_REFUSED);
    assertThat(gateway.fetches).hasValue(0);
  }

  @ParameterizedTest
  @ValueSource(strings = {"wrong-name", "expired", "self-signed"})
  void connect_whenTheCertificateIsWrong_sendsNothing(String kind) throws Exception {
    gateway.close();
    upstream.close();
    var context =
        switch (kind) {
          case "wrong-name" -> CERTIFICATES.valid("other.test");
          case "expired" -> CERTIFICATES.expired("upstream.test");
          default -> CERTIFICATES.selfSigned("upstream.test");
        };
    upstream = new TestUpstream(context, (request, out) -> TestUpstream.ok(out, "no"));
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
    problem(TestGateway.get("/d/up/v1/a"), 502, ProblemCode.UPSTREAM_CERTIFICATE);
    assertThat(upstream.requests).isEmpty();
  }

  @Test
  void connect_whenNobodyListens_isUnreachable() throws Exception {
    upstream.close();
    problem(TestGateway.get("/d/up/v1/a"), 502, ProblemCode.UPSTREAM_UNREACHABLE);
  }

  @Test
  void upstream_whenItNeverAnswers_isTooSlow() throws Exception {
    gateway.timeout = Duration.ofMillis(300);
    upstream.script = (request, out) -> Thread.sleep(5_000);
    problem(TestGateway.get("/d/up/v1/a"), 504, ProblemCode.UPSTREAM_TIMEOUT);
  }

  @Test
  void upstream_whenItSendsOneByteASecond_isCutAtTheEndOfTheStreamsTime() throws Exception {
    gateway.maxStream = Duration.ofMillis(1500);
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
          for (int i = 0; i < 100; i++) {
            TestUpstream.raw(out, "x");
            Thread.sleep(200);
          }
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      assertThatThrownBy(caller::read).hasMessage("cut");
    }
    await().until(() -> gateway.records.size() == 2);
    assertThat(gateway.records.getLast().code()).isEqualTo(ProblemCode.UPSTREAM_TIMEOUT);
  }

  @ParameterizedTest
  @ValueSource(strings = {"Content-Length: 9", "Transfer-Encoding: chunked"})
  void upstream_whenItBreaksOff_theAnswerDoesNotLookComplete(String framing) throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, "HTTP/1.1 200 OK\r\n" + framing + "\r\n\r\n3\r\nabc\r\n");
          throw new IOException("break");
        };
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      assertThatThrownBy(caller::read).isInstanceOf(IOException.class);
    }
    await().until(() -> gateway.records.size() == 2);
    assertThat(gateway.records.getLast().code()).isEqualTo(ProblemCode.UPSTREAM_BROKEN);
  }

  @Test
  void upstream_whenAnIdleConnectionWasClosed_isAskedAgain() throws Exception {
    upstream.script =
        (request, out) -> {
          if (upstream.requests.size() == 2) {
            throw new IOException("close the idle connection instead of answering");
          }
          TestUpstream.ok(out, "ok");
        };
    try (TestHttp caller = gateway.caller()) {
      assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().body()).isEqualTo("ok");
      assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().body()).isEqualTo("ok");
    }
    assertThat(upstream.requests).hasSize(3);
  }

  @Test
  void upstream_whenAFreshConnectionCloses_isNotAskedAgain() throws Exception {
    upstream.script =
        (request, out) -> {
          throw new IOException("close");
        };
    problem(TestGateway.get("/d/up/v1/a"), 502, ProblemCode.UPSTREAM_BROKEN);
    assertThat(upstream.requests).hasSize(1);
  }

  @Test
  void upstream_whenItClosesOnAPost_isNotAskedAgain() throws Exception {
    upstream.script =
        (request, out) -> {
          throw new IOException("close");
        };
    problem(
        TestGateway.post("/d/up/v1/a", "Content-Length: 1\r\n", "x"),
        502,
        ProblemCode.UPSTREAM_BROKEN);
    assertThat(upstream.requests).hasSize(1);
  }

  @Test
  void credential_whenRejected_isRefreshedOnceAndAGetIsReplayed() throws Exception {
    gateway.refreshedCredential = "sk-second-credential";
    upstream.script =
        (request, out) -> {
          if (request.values("authorization").getFirst().contains("second")) {
            TestUpstream.ok(out, "ok");
          } else {
            TestUpstream.raw(out, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
          }
        };
    try (TestHttp caller = gateway.caller()) {
      assertThat(caller.send(TestGateway.get("/d/up/v1/a")).read().body()).isEqualTo("ok");
    }
    problem(
        TestGateway.post("/d/up/v1/a", "Content-Length: 1\r\n", "x"),
        502,
        ProblemCode.UPSTREAM_CREDENTIAL_REJECTED);
  }

  @Test
  void credential_whenRejectedAndUnchanged_isNotSentAgain() throws Exception {
    upstream.script =
        (request, out) -> TestUpstream.raw(out, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
    problem(TestGateway.get("/d/up/v1/a"), 502, ProblemCode.UPSTREAM_CREDENTIAL_REJECTED);
    assertThat(upstream.requests).hasSize(1);
  }

  @Test
  void caller_whenItLeaves_endsTheUpstreamsWork() throws Exception {
    endless();
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      TestHttp.head(caller.in);
    }
    await().until(() -> upstream.closedByPeer.get() == 1 && gateway.live.size() == 0);
  }

  @Test
  void stop_cutsAnOpenStreamAndRecordsIt() throws Exception {
    endless();
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      TestHttp.head(caller.in);
      assertThat(gateway.live.cut(exchange -> exchange.caller().agent().equals("other"))).isZero();
      assertThat(gateway.live.cut(exchange -> exchange.caller().agent().equals("bot"))).isOne();
      assertThatThrownBy(() -> TestHttp.chunks(caller.in)).isInstanceOf(IOException.class);
    }
    await().until(() -> upstream.closedByPeer.get() == 1 && gateway.records.size() == 2);
    assertThat(gateway.records.getLast().code()).isEqualTo(ProblemCode.STOPPED);
  }

  @Test
  void head_whenItIsNotCompleteInTime_isClosed() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      caller.send("GET /d/up/v1/a HTTP/1.1\r\nHost:");
      assertThat(caller.isClosed()).isTrue();
    }
  }

  @Test
  void drain_letsARunningExchangeEndAndRefusesNewConnections() throws Exception {
    CountDownLatch go = new CountDownLatch(1);
    upstream.script =
        (request, out) -> {
          go.await();
          TestUpstream.ok(out, "late");
        };
    int port = gateway.server.port();
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      await().until(() -> upstream.requests.size() == 1);
      CompletableFuture<Void> stopping = CompletableFuture.runAsync(gateway.server::stop);
      await()
          .untilAsserted(
              () -> assertThatThrownBy(() -> new TestHttp(port)).isInstanceOf(IOException.class));
      go.countDown();
      TestHttp.Answer answer = caller.read();
      assertThat(answer.body()).isEqualTo("late");
      assertThat(answer.header("connection")).isEqualTo("close");
      stopping.get(10, TimeUnit.SECONDS);
    }
  }

  private void endless() {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
          while (true) {
            TestUpstream.raw(out, "1\r\nx\r\n");
            Thread.sleep(20);
          }
        };
  }

  private TestHttp.Answer problem(String request, int status, ProblemCode code) throws Exception {
    try (TestHttp caller = gateway.caller()) {
      TestHttp.Answer answer = caller.send(request).read();
      assertThat(answer.body())
          .contains("\"code\":\"" + code.code() + "\"")
          .contains("\"decision_id\":\"");
      assertThat(answer.status()).isEqualTo(status);
      assertThat(answer.header("valetkey-error")).isEqualTo(code.code());
      assertThat(answer.header("content-type")).isEqualTo("application/problem+json");
      return answer;
    }
  }
}
