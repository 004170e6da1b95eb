package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.MovableClock;
import io.valetkey.broker.policy.DestinationSpec.Credential.AwsWebIdentity;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is asked of AWS's token service and what is believed of its answers. Invariant: C13. */
class AwsSessionsTest {

  private static final TestAuthority AUTHORITY = TestAuthority.create("sts");
  private static final Instant START = Instant.parse("2026-11-01T00:00:00Z");
  private static final String NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/";
  private static final String CREDENTIALS =
      "<AccessKeyId>ASIACANARY</AccessKeyId><SecretAccessKey>canary/se+cret</SecretAccessKey>"
          + "<SessionToken>canary//token==</SessionToken>"
          + "<Expiration>2026-11-01T00:15:00Z</Expiration>";

  private final MovableClock clock = new MovableClock(START);
  private final List<Map<String, String>> asked = new CopyOnWriteArrayList<>();
  private HttpsServer sts;
  private AwsSessions sessions;
  private volatile int status = 200;
  private volatile String answer = answer(CREDENTIALS);

  @BeforeEach
  void start() throws Exception {
    sts = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    sts.setHttpsConfigurator(new HttpsConfigurator(AUTHORITY.server("localhost").serverContext()));
    sts.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    sts.createContext("/", this::handle);
    sts.start();
    sessions =
        new AwsSessions(ProviderTokensTest.providers(AUTHORITY, "127.0.0.0/8", "::1/128"), clock);
  }

  @AfterEach
  void stop() {
    sts.stop(0);
  }

  private void handle(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.US_ASCII);
    asked.add(
        Arrays.stream(body.split("&"))
            .map(pair -> pair.split("=", 2))
            .collect(
                Collectors.toMap(
                    pair -> pair[0], pair -> URLDecoder.decode(pair[1], StandardCharsets.UTF_8))));
    byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "text/xml");
    exchange.sendResponseHeaders(status, bytes.length);
    try (OutputStream out = exchange.getResponseBody()) {
      out.write(bytes);
    }
  }

  private static String answer(String credentials) {
    return """
    <AssumeRoleWithWebIdentityResponse xmlns="%s">
      <AssumeRoleWithWebIdentityResult>
        <SubjectFromWebIdentityToken>reports</SubjectFromWebIdentityToken>
        <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/bot</Arn></AssumedRoleUser>
        <Credentials>%s</Credentials>
      </AssumeRoleWithWebIdentityResult>
      <ResponseMetadata><RequestId>ad4156e9</RequestId></ResponseMetadata>
    </AssumeRoleWithWebIdentityResponse>
    """
        .formatted(NAMESPACE, credentials);
  }

  private static String error(String code) {
    return """
    <ErrorResponse xmlns="%s"><Error><Type>Sender</Type><Code>%s</Code>
    <Message>canary</Message></Error><RequestId>ad4156e9</RequestId></ErrorResponse>
    """
        .formatted(NAMESPACE, code);
  }

  private AwsWebIdentity role() {
    return new AwsWebIdentity(
        "https://localhost:" + sts.getAddress().getPort(),
        "arn:aws:iam::123456789012:role/reports",
        "reports",
        null,
        null,
        null,
        null);
  }

  private Loaded fetch(AwsWebIdentity role) throws IOException {
    return sessions.fetch(role, "an.assert.ion", clock.instant());
  }

  private AbstractThrowableAssert<?, ? extends Throwable> refusal() {
    return assertThatThrownBy(() -> fetch(role()))
        .isInstanceOf(RefusedException.class)
        .hasMessageStartingWith("the session of arn:aws:iam::123456789012:role/reports ")
        .hasMessageNotContaining("canary");
  }

  @Test
  void session_isAskedForUnsigned_andKeptUntilItsEnd() throws Exception {
    Loaded loaded = fetch(role().sessionOf("bot"));
    assertThat(loaded.until()).isEqualTo(START.plus(Duration.ofMinutes(15)));
    assertThat(loaded.fields().get("access_key_id").reveal()).isEqualTo("ASIACANARY");
    assertThat(loaded.fields().get("secret_access_key").reveal()).isEqualTo("canary/se+cret");
    assertThat(loaded.fields().get("session_token").reveal()).isEqualTo("canary//token==");
    assertThat(asked.getFirst())
        .isEqualTo(
            Map.of(
                "Action", "AssumeRoleWithWebIdentity",
                "Version", "2011-06-15",
                "RoleArn", "arn:aws:iam::123456789012:role/reports",
                "RoleSessionName", "bot",
                "DurationSeconds", "900",
                "WebIdentityToken", "an.assert.ion"));
  }

  @Test
  void sessionPolicyAndDuration_goWithIt() throws Exception {
    fetch(
        new AwsWebIdentity(
            role().endpoint(),
            role().roleArn(),
            "reports",
            null,
            Duration.ofHours(1),
            "{\"Version\":\"2012-10-17\"}",
            "bot"));
    assertThat(asked.getFirst())
        .containsEntry("DurationSeconds", "3600")
        .containsEntry("Policy", "{\"Version\":\"2012-10-17\"}");
  }

  /** AWS takes 2 to 64 characters; no two agents may look the same in CloudTrail. */
  @Test
  void sessionName_isEachAgentsOwn_andOneThatAwsTakes() {
    List<String> agents =
        List.of("", "a", "b", "ab", "agent-a", "valetkey-self-test", "x".repeat(63));
    List<String> names = agents.stream().map(agent -> role().sessionOf(agent).session()).toList();
    assertThat(names)
        .doesNotHaveDuplicates()
        .allMatch(name -> name.matches("[\\w+=,.@-]{2,64}"))
        .contains("agent=a", "ab", "valetkey=self-test");
  }

  @ParameterizedTest
  @CsvSource({
    "403, AccessDenied",
    "400, InvalidIdentityToken",
    "400, ExpiredTokenException",
    "403, IDPRejectedClaim",
    "400, MalformedPolicyDocument",
    "403, RegionDisabledException"
  })
  void aws_whenItRefusesUs_isBelieved(int code, String error) {
    status = code;
    answer = error(error);
    refusal()
        .isNotInstanceOf(SourceAwayException.class)
        .hasMessageEndingWith("AWS answered " + code + ", " + error);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          400 | IDPCommunicationError
          500 | InternalFailure
          503 | ServiceUnavailable
          403 | can ary
          """)
  void aws_whenItsAnswerSaysNothingAboutUs_isTakenAsAway(int code, String error) {
    status = code;
    answer = error(error);
    refusal().isInstanceOf(SourceAwayException.class);
  }

  @Test
  void page_ofAnythingBetween_isTakenAsAway() {
    for (String page : List.of("<h1>canary</h1>", "{\"Error\":{\"Code\":\"canary\"}}", "")) {
      status = 403;
      answer = page;
      refusal().isInstanceOf(SourceAwayException.class).hasMessageEndingWith("answered 403");
    }
  }

  /** Each would be a session, but for one thing that AWS never writes. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
        "<!DOCTYPE a>",
        "<?canary?>",
        "<extra/>"
      })
  void answer_withAnythingBeforeIt_isNone(String before) {
    answer = before + answer(CREDENTIALS);
    refusal().isInstanceOf(SourceAwayException.class).hasMessageContaining("none of AWS's");
  }

  @Test
  void answer_thatIsNotWhole_orSaysAValueTwice_isNone() {
    for (String credentials :
        List.of(
            "",
            CREDENTIALS.replace("<AccessKeyId>ASIACANARY</AccessKeyId>", ""),
            CREDENTIALS.replaceAll("<Expiration>.*</Expiration>", ""),
            CREDENTIALS.replace("2026-11-01T00:15:00Z", "tomorrow"),
            CREDENTIALS + "<AccessKeyId>ASIAOTHER</AccessKeyId>",
            CREDENTIALS.replace("ASIACANARY", "ASIA<b>CANARY</b>"),
            CREDENTIALS.replace("ASIACANARY", "ASIA&x;"),
            CREDENTIALS.replace("<SessionToken>", "<SessionToken xmlns=\"urn:other\">"))) {
      answer = answer(credentials);
      refusal().isInstanceOf(SourceAwayException.class).hasMessageContaining("none of AWS's");
    }
    answer = answer(CREDENTIALS).replace(NAMESPACE, "urn:other");
    refusal().hasMessageContaining("none of AWS's");
    answer = answer(CREDENTIALS) + "<again/>";
    refusal().hasMessageContaining("none of AWS's");
    answer = error("AccessDenied");
    refusal().hasMessageContaining("none of AWS's");
  }

  @Test
  void session_thatHasEndedOrCannotStandInAHeader_isNone() {
    answer = answer(CREDENTIALS.replace("00:15:00Z", "00:00:00Z"));
    refusal().isInstanceOf(SourceAwayException.class).hasMessageContaining("had ended");
    answer = answer(CREDENTIALS.replace("canary//token==", "canary&#13;&#10;x: y"));
    refusal().isInstanceOf(SourceAwayException.class).hasMessageContaining("in a header");
    answer = answer(CREDENTIALS.replace("canary//token==", " "));
    refusal().isInstanceOf(SourceAwayException.class);
  }

  @Test
  void aws_whenItIsAskedTooOften_isLeftAlone_longerEachTime() throws Exception {
    status = 400;
    answer = error("Throttling");
    for (int seconds : List.of(1, 2, 4, 8, 16, 32, 60, 60)) {
      int before = asked.size();
      refusal().isInstanceOf(SourceAwayException.class).hasMessageContaining("Throttling");
      clock.advance(Duration.ofSeconds(seconds).minusMillis(1));
      refusal().isInstanceOf(SourceAwayException.class).hasMessageContaining("too often");
      assertThat(asked).hasSize(before + 1);
      clock.advance(Duration.ofMillis(1));
    }
    status = 200;
    answer = answer(CREDENTIALS.replace("2026-11-01T00:15", "2026-11-01T01:00"));
    fetch(role());
    status = 429;
    answer = "<h1>slow down</h1>";
    refusal().hasMessageContaining("429");
    clock.advance(Duration.ofSeconds(1));
    refusal().hasMessageContaining("429");
  }
}
