package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.SignatureTemplate;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.CredentialFields;
import io.valetkey.realparts.Python;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Requests that the gateway signs by HMAC, as they arrive. Invariant: C15. */
@Timeout(120)
class SignedRequestsTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String KEY = "canary-signing-key-0123456789";
  private static final String API_KEY = "canary-api-key-0123456789";

  private final List<String> bodies = new CopyOnWriteArrayList<>();
  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid("upstream.test"),
            (request, out) -> {
              bodies.add(request.text());
              TestUpstream.ok(out, request.head());
            });
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
    key(KEY);
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  @Test
  void hmac_isOverWhatIsSent_andTheCallersOwnIsDropped() throws Exception {
    sign(
        hmac(
            Signing.KeyEncoding.TEXT,
            "{timestamp}{nonce}{method}{host}{target}{field:api_key}\n{body}"));
    TestHttp.Answer answer =
        send(
            TestGateway.post(
                "/d/up/v1/orders?b=2&key=mine&a=1",
                "Content-Length: 5\r\nX-Sign: mine\r\nx-time: 1\r\nX-Key: mine\r\n",
                "{\"1\"}"));

    assertThat(answer.status()).isEqualTo(200);
    TestUpstream.Received received = upstream.requests.getFirst();
    assertThat(received.requestLine()).isEqualTo("POST /v1/orders?b=2&a=1 HTTP/1.1");
    String time = only(received, "X-Time");
    assertThat(Instant.ofEpochMilli(Long.parseLong(time)))
        .isBetween(Instant.now().minusSeconds(60), Instant.now().plusSeconds(60));
    String nonce = only(received, "X-Nonce");
    assertThat(nonce).matches("[0-9a-f]{32}");
    String message =
        time
            + nonce
            + "POSTupstream.test:"
            + upstream.port()
            + "/v1/orders?b=2&a=1"
            + API_KEY
            + "\n{\"1\"}";
    assertThat(only(received, "X-Sign"))
        .isEqualTo("v1=" + Base64.getEncoder().encodeToString(mac(KEY, message)));
    assertThat(only(received, "X-Key")).isEqualTo(API_KEY);
    assertThat(only(received, "X-Body")).isEqualTo(HexFormat.of().formatHex(sha256("{\"1\"}")));
    assertThat(bodies).containsExactly("{\"1\"}");
    assertThat(received.head()).doesNotContain("good", KEY);
    // The upstream says its head back: the field that was sent is masked.
    assertThat(answer.body()).contains("/v1/orders").doesNotContain(API_KEY);
  }

  @Test
  void hmac_signsEachRequestAnew() throws Exception {
    sign(hmac(Signing.KeyEncoding.TEXT, "{nonce}{path}?{query}"));
    for (int i = 0; i < 3; i++) {
      assertThat(send(TestGateway.get("/d/up/v1/a")).status()).isEqualTo(200);
    }
    assertThat(upstream.requests.stream().map(one -> only(one, "X-Sign")).distinct()).hasSize(3);
    TestUpstream.Received last = upstream.requests.getLast();
    assertThat(only(last, "X-Sign"))
        .isEqualTo(
            "v1=" + Base64.getEncoder().encodeToString(mac(KEY, only(last, "X-Nonce") + "/v1/a?")));
  }

  /** The example in GitHub's documentation of signed webhooks. */
  @Test
  void hmac_ofTheBodyAlone_isWhatGitHubSays() throws Exception {
    key("It's a Secret to Everybody");
    sign(
        new Signing.Hmac(
            Signing.Hmac.Algorithm.SHA256,
            Signing.KeyEncoding.TEXT,
            Signing.Hmac.TimeForm.SECONDS,
            SignatureTemplate.parse("{body}"),
            List.of(
                new Signing.Hmac.Header(
                    "X-Hub-Signature-256", SignatureTemplate.parse("sha256={signature:hex}")))));

    send(TestGateway.post("/d/up/v1/a", "Content-Length: 13\r\n", "Hello, World!"));

    assertThat(only(upstream.requests.getFirst(), "X-Hub-Signature-256"))
        .isEqualTo("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
  }

  @Test
  void key_thatIsNotWrittenAsDeclared_sendsNothingAndIsNotQuoted() throws Exception {
    for (Signing.KeyEncoding encoding :
        List.of(Signing.KeyEncoding.BASE64, Signing.KeyEncoding.HEX)) {
      sign(hmac(encoding, "{body}"));
      TestHttp.Answer answer = send(TestGateway.get("/d/up/v1/a"));
      assertThat(answer.status()).isEqualTo(503);
      assertThat(answer.body()).contains("credential_unavailable").doesNotContain("canary");
    }
    gateway.fields = CredentialFields.of(Map.of("signing_key", SecretValue.of(KEY)));
    sign(hmac(Signing.KeyEncoding.TEXT, "{body}"));
    assertThat(send(TestGateway.get("/d/up/v1/a")).body()).contains("credential_unavailable");
    assertThat(upstream.requests).isEmpty();
  }

  @Test
  void key_asBase64OrHex_isThoseBytes() throws Exception {
    byte[] bytes = {0, (byte) 0xff, 7, 9};
    for (Signing.KeyEncoding encoding :
        List.of(Signing.KeyEncoding.BASE64, Signing.KeyEncoding.HEX)) {
      key(
          encoding == Signing.KeyEncoding.HEX
              ? "00Ff0709"
              : Base64.getEncoder().encodeToString(bytes));
      sign(hmac(encoding, "{method}"));
      send(TestGateway.get("/d/up/v1/a"));
      assertThat(only(upstream.requests.getLast(), "X-Sign"))
          .isEqualTo("v1=" + Base64.getEncoder().encodeToString(mac(bytes, "GET")));
    }
  }

  @Test
  void body_thatIsTooLargeToSign_isRefused() throws Exception {
    sign(hmac(Signing.KeyEncoding.TEXT, "{body}"));
    int length = (1 << 20) + 1;
    TestHttp.Answer answer =
        send(
            TestGateway.post(
                "/d/up/v1/a", "Content-Length: " + length + "\r\n", "x".repeat(length)));
    assertThat(answer.status()).isEqualTo(413);
    assertThat(upstream.requests).isEmpty();
  }

  @Test
  void httpMessage_isVerifiedBySomebodyElse(@TempDir Path folder) throws Exception {
    Path python = Python.with("python-signatures", "http-message-signatures", "requests");
    sign(
        new Signing.HttpMessage(
            Signing.KeyEncoding.TEXT,
            "key-1",
            "sig1",
            List.of(
                "@method",
                "@target-uri",
                "@authority",
                "@path",
                "@query",
                "content-type",
                "content-digest",
                "x-many"),
            Duration.ofMinutes(5)));
    for (String request :
        List.of(
            TestGateway.get("/d/up/v1/a"),
            TestGateway.get("/d/up/v1/a%20b?x=%2F&y"),
            TestGateway.post(
                "/d/up/v1/a?q=1",
                "Content-Type: application/json\r\nContent-Length: 4\r\nX-Many: 1\r\n"
                    + "X-Many:  2  \r\nSignature: sig1=:AAAA:\r\n"
                    + "Signature-Input: sig1=();created=1\r\nContent-Digest: sha-256=:AAAA:\r\n",
                "[42]"))) {
      assertThat(send(request).status()).isEqualTo(200);
    }
    Path script = Files.writeString(folder.resolve("verify.py"), VERIFIER);
    for (int i = 0; i < upstream.requests.size(); i++) {
      TestUpstream.Received received = upstream.requests.get(i);
      List<String> command = new ArrayList<>(List.of(python.toString(), script.toString()));
      command.addAll(List.of("https://upstream.test:" + upstream.port(), KEY, bodies.get(i)));
      assertThat(run(command, received.head())).isEqualTo("ok");
      // And it is a verifier: one bit more, and it says no.
      assertThat(run(command, received.head().replaceFirst(" /v1/a", " /v1/b")))
          .contains("Invalid");
    }
    assertThat(upstream.requests).hasSize(3);
  }

  private static final String VERIFIER =
      """
      import base64, hashlib, sys
      import requests
      from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
      origin, key, body = sys.argv[1:4]
      head = sys.stdin.buffer.read().decode("latin-1").split("\\r\\n")
      method, target, _ = head[0].split(" ")
      fields = {}
      for line in filter(None, head[1:]):
          name, value = line.split(":", 1)
          fields[name] = fields[name] + ", " + value.strip() if name in fields else value.strip()
      class Keys(HTTPSignatureKeyResolver):
          def resolve_public_key(self, key_id):
              assert key_id == "key-1"
              return key.encode()
          resolve_private_key = resolve_public_key
      message = requests.Request(method, origin + target, headers=fields).prepare()
      message.url = origin + target
      [result] = HTTPMessageVerifier(
          signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Keys()).verify(message)
      digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
      assert fields["Content-Digest"] == "sha-256=:" + digest + ":", fields
      assert '"content-digest"' in result.covered_components, result.covered_components
      print("ok")
      """;

  private static String run(List<String> command, String input) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (var out = process.getOutputStream()) {
      out.write(input.getBytes(StandardCharsets.ISO_8859_1));
    }
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return output.strip();
  }

  private static Signing.Hmac hmac(Signing.KeyEncoding encoding, String message) {
    return new Signing.Hmac(
        Signing.Hmac.Algorithm.SHA512,
        encoding,
        Signing.Hmac.TimeForm.MILLISECONDS,
        SignatureTemplate.parse(message),
        List.of(
            header("X-Sign", "v1={signature:base64}"),
            header("X-Time", "{timestamp}"),
            header("X-Nonce", "{nonce}"),
            header("X-Body", "{body-sha256:hex}"),
            header("X-Key", "{field:api_key}")));
  }

  private static Signing.Hmac.Header header(String name, String value) {
    return new Signing.Hmac.Header(name, SignatureTemplate.parse(value));
  }

  private void sign(Signing signing) {
    gateway.injection = Destination.Injection.by(signing);
  }

  private void key(String text) {
    gateway.fields =
        CredentialFields.of(
            Map.of("signing_key", SecretValue.of(text), "api_key", SecretValue.of(API_KEY)));
  }

  private TestHttp.Answer send(String request) throws Exception {
    try (TestHttp caller = gateway.caller()) {
      return caller.send(request).read();
    }
  }

  private static String only(TestUpstream.Received received, String name) {
    List<String> values = received.values(name);
    assertThat(values).as(name).hasSize(1);
    return values.getFirst();
  }

  private static byte[] mac(String key, String message) throws Exception {
    return mac(key.getBytes(StandardCharsets.UTF_8), message);
  }

  private static byte[] mac(byte[] key, String message) throws Exception {
    Mac mac = Mac.getInstance("HmacSHA512");
    mac.init(new SecretKeySpec(key, "HmacSHA512"));
    return mac.doFinal(message.getBytes(StandardCharsets.UTF_8));
  }

  private static byte[] sha256(String text) throws Exception {
    return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
  }
}
