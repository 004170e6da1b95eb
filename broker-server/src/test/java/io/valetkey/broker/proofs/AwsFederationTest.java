package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jwt.JWTClaimsSet;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.MotoServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * S3 without any stored key: unmodified boto3 reaches moto, which checks every signature, by
 * sessions of a role. They come from a token service in between that knows our issuer by discovery
 * alone and has moto make the session only for an assertion that it could verify. Invariants: C13,
 * C14.
 */
@NeedsVault
class AwsFederationTest {

  private static final String ROLE = "arn:aws:iam::123456789012:role/reports";

  private record Instead(int status, String body) {}

  private static final String SESSION_POLICY =
      """
      {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::reports/*"}]}
      """;

  private static final String SET_UP =
      """
      import boto3, sys, urllib3
      urllib3.disable_warnings()
      def client(name):
          return boto3.client(name, endpoint_url=sys.argv[1], region_name="eu-central-1", verify=False,
                              aws_access_key_id="any", aws_secret_access_key="any")
      iam = client("iam")
      trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
      iam.create_role(RoleName="reports", AssumeRolePolicyDocument=trust)
      work = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
      iam.put_role_policy(RoleName="reports", PolicyName="work", PolicyDocument=work)
      client("s3").create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
      """;

  private static final String CLIENT =
      """
      import boto3
      from botocore.config import Config
      boto3.set_stream_logger("")
      s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))
      for i in range(3):
          s3.put_object(Bucket="reports", Key="out", Body=b"forty-two %d" % i)
      print(s3.get_object(Bucket="reports", Key="out")["Body"].read().decode())
      """;

  @TempDir private static Path folder;
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static final List<Map<String, String>> asked = new CopyOnWriteArrayList<>();
  private static final List<JWTClaimsSet> believed = new CopyOnWriteArrayList<>();
  private static final List<String> answered = new CopyOnWriteArrayList<>();
  private static final TestAuthority AUTHORITY = TestAuthority.create("aws");
  private static volatile String trusted = "";

  /** What the token service answers without looking at anything; null if it does its work. */
  private static volatile Instead instead;

  private static final AtomicInteger stops = new AtomicInteger();
  private static HttpClient client;
  private static MotoServer moto;
  private static RealVault vault;
  private static HttpsServer sts;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    client = HttpClient.newBuilder().sslContext(AUTHORITY.trust()).build();
    moto = new MotoServer(folder, AUTHORITY);
    vault = FederationTrust.vault();
    sts = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    sts.setHttpsConfigurator(new HttpsConfigurator(AUTHORITY.server("localhost").serverContext()));
    sts.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    sts.createContext("/", AwsFederationTest::assumeRole);
    sts.start();
    broker =
        RunningBroker.start(FederationTrust.settings(vault, AUTHORITY.writePem(folder).toString()));
    assertThat(moto.run(SET_UP, Map.of(), moto.uri().toString())).isEmpty();
    moto.exempt("0");
    policy();
  }

  @BeforeEach
  void clear() throws Exception {
    trusted = broker.url() + "/federation";
    instead = null;
    dropSessions();
    asked.clear();
    believed.clear();
    answered.clear();
  }

  @AfterAll
  static void stop() throws Exception {
    if (broker != null) {
      broker.close();
    }
    if (sts != null) {
      sts.stop(0);
    }
    if (vault != null) {
      vault.close();
    }
    if (moto != null) {
      moto.close();
    }
  }

  /** One at a time, because moto knows no request that is allowed without a signature. */
  private static synchronized void assumeRole(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.US_ASCII);
    Map<String, String> form = FederationTrust.form(body);
    asked.add(form);
    Instead other = instead;
    if (other != null) {
      FederationTrust.answer(exchange, other.status(), "text/xml", other.body());
      return;
    }
    int status = 200;
    String answer;
    try {
      assertThat(exchange.getRequestHeaders()).doesNotContainKey("Authorization");
      assertThat(form).containsEntry("RoleArn", ROLE);
      believed.add(verify(form.get("WebIdentityToken")));
      moto.exempt("inf");
      answer = moto.post("/", "application/x-www-form-urlencoded", body).body();
      moto.exempt("0");
      answered.add(answer);
    } catch (Exception | AssertionError e) {
      status = 403;
      answer =
          "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
              + "<Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform"
              + " sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>";
    }
    FederationTrust.answer(exchange, status, "text/xml", answer);
  }

  /** As IAM does for a provider of OpenID Connect with this client id and this condition. */
  private static JWTClaimsSet verify(String assertion) throws Exception {
    return FederationTrust.verify(
        trusted,
        assertion,
        Set.of(JWSAlgorithm.RS256),
        "sts.amazonaws.com",
        new JWTClaimsSet.Builder().issuer(trusted).subject("s3-reports").build(),
        Set.of("exp", "iat", "jti"));
  }

  private static void policy() throws Exception {
    String spec =
        """
        {"kind":"http","origin":"%s","credential":{"source":"aws-web-identity",
         "tokenEndpoint":"https://localhost:%d","roleArn":"%s","subject":"%s",
         "sessionPolicy":%s},
         "signing":{"type":"aws-sigv4","service":"s3","region":"eu-central-1"}}
        """;
    int port = sts.getAddress().getPort();
    String all = "{\"allow\":[{\"methods\":[\"GET\",\"PUT\"],\"paths\":[\"/reports/**\"]}]}";
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot", "")
        .agent("x", "ci", "x", "")
        .destination("s3", spec.formatted(moto.uri(), port, ROLE, "s3-reports", SESSION_POLICY))
        .destination(
            "s3-wrong", spec.formatted(moto.uri(), port, ROLE, "s3-payroll", SESSION_POLICY))
        .destination(
            "s3-away",
            spec.formatted(
                moto.uri(), RunningBroker.freePort(), ROLE, "s3-reports", SESSION_POLICY))
        .agent("halted", "ci", "halted", "")
        .scope("s3", "all", all)
        .scope("s3-away", "all", all)
        .grant("bot-s3-away", "bot", "s3-away", List.of("all"))
        .grant("halted-s3", "halted", "s3", List.of("all"))
        .scope("s3-wrong", "all", all)
        .grant("bot-s3", "bot", "s3", List.of("all"))
        .grant("x-s3", "x", "s3", List.of("all"))
        .grant("bot-s3-wrong", "bot", "s3-wrong", List.of("all"))
        .await(broker);
  }

  private static String token(String subject, String destination) throws Exception {
    Map<String, String> form = Tokens.exchange(ISSUER.token(subject, broker.url()));
    form.put("audience", destination);
    return Tokens.ask(broker.url(), form).token();
  }

  private static String boto3(String subject) throws Exception {
    String said =
        moto.run(
            CLIENT,
            Map.of(
                "AWS_ENDPOINT_URL", broker.gatewayUrl() + "/d/s3",
                "AWS_ACCESS_KEY_ID", "valetkey",
                "AWS_SECRET_ACCESS_KEY", "valetkey",
                "AWS_SESSION_TOKEN", token(subject, "s3"),
                "AWS_DEFAULT_REGION", "eu-central-1"));
    // It logs each answer that it gets, with its header fields.
    assertThat(said).contains("Response headers");
    assertHoldsNoSession(said);
    return said.strip().lines().reduce("", (_, line) -> line);
  }

  private static void assertHoldsNoSession(String text) {
    for (String answer : answered) {
      for (String name : List.of("AccessKeyId", "SecretAccessKey", "SessionToken")) {
        assertThat(text).doesNotContain(between(answer, name));
      }
    }
  }

  /** Any stop has every gateway forget every credential. */
  private static void dropSessions() throws Exception {
    String nobody = "{\"agent\":\"nobody-%d\"}".formatted(stops.incrementAndGet());
    StopStage.awaitAcknowledged(broker, StopStage.order(broker, nobody));
  }

  private static HttpRequest read(String destination, String token) {
    return HttpRequest.newBuilder(
            URI.create(broker.gatewayUrl() + "/d/" + destination + "/reports/none"))
        .timeout(Duration.ofSeconds(60))
        .header("X-Amz-Security-Token", token)
        .build();
  }

  private static HttpResponse<String> use(String destination, String token) throws Exception {
    HttpResponse<String> answer = client.send(read(destination, token), BodyHandlers.ofString());
    assertHoldsNoSession(answer.headers().map() + answer.body());
    return answer;
  }

  private static void assertNoCredential(HttpResponse<String> answer) {
    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.headers().firstValue("Valetkey-Error")).contains("credential_unavailable");
    assertThat(answer.headers().map() + answer.body()).doesNotContain("canary", ROLE);
  }

  private static long readsAtMoto() throws IOException {
    try (var lines = Files.lines(moto.log())) {
      return lines.filter(line -> line.contains("GET /reports/none")).count();
    }
  }

  private static String between(String xml, String element) {
    return xml.split("</?" + element + ">", -1)[1];
  }

  @Test
  void boto3_usesASessionOfItsAgent_whichIsKeptUntilAStop() throws Exception {
    assertThat(boto3("bot")).isEqualTo("forty-two 2");
    assertThat(believed).hasSize(1);
    assertThat(believed.getFirst().getSubject()).isEqualTo("s3-reports");
    assertThat(asked.getFirst())
        .containsEntry("RoleSessionName", "bot")
        .containsEntry("DurationSeconds", "900");
    assertThat(JsonMapper.shared().readTree(asked.getFirst().get("Policy")))
        .isEqualTo(JsonMapper.shared().readTree(SESSION_POLICY));
    assertThat(between(answered.getFirst(), "AccessKeyId")).startsWith("ASIA");

    assertThat(boto3("x")).isEqualTo("forty-two 2");
    assertThat(asked).hasSize(2);
    assertThat(asked.getLast()).containsEntry("RoleSessionName", "agent=x");

    dropSessions();
    assertThat(boto3("bot")).isEqualTo("forty-two 2");
    assertThat(asked).hasSize(3);
    assertThat(asked.getLast()).containsEntry("RoleSessionName", "bot");
  }

  @Test
  void role_thatDoesNotTrustTheSubject_isNoCredential_andTheSelfTestSaysWhy() throws Exception {
    HttpResponse<String> refused =
        client.send(
            HttpRequest.newBuilder(URI.create(broker.gatewayUrl() + "/d/s3-wrong/reports/out"))
                .header("X-Amz-Security-Token", token("bot", "s3-wrong"))
                .build(),
            BodyHandlers.ofString());
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(refused.headers().firstValue("Valetkey-Error")).contains("credential_unavailable");
    assertThat(answered).isEmpty();

    JsonNode wrong = StopStage.admin(broker, "POST", "/destinations/s3-wrong/test", null);
    assertThat(wrong.toString())
        .contains("the session of " + ROLE + " cannot be had: AWS answered 403, AccessDenied");
    JsonNode right =
        StopStage.admin(broker, "POST", "/destinations/s3/test", "{\"path\":\"/reports/none\"}");
    assertThat(right.path("outcome").asString()).as("%s", right).isEqualTo("passed");
    assertThat(right.toString())
        .contains("it signs for s3 in eu-central-1")
        .contains("answered 404")
        .doesNotContain(between(answered.getLast(), "SecretAccessKey"));
    assertThat(asked.getLast()).containsEntry("RoleSessionName", "valetkey=self-test");
  }

  @Test
  void requestsAtOnce_shareOneSession() throws Exception {
    String token = token("bot", "s3");
    List<CompletableFuture<HttpResponse<String>>> answers =
        IntStream.range(0, 8)
            .mapToObj(_ -> client.sendAsync(read("s3", token), BodyHandlers.ofString()))
            .toList();
    for (CompletableFuture<HttpResponse<String>> answer : answers) {
      assertThat(answer.get(60, TimeUnit.SECONDS).statusCode()).isEqualTo(404);
    }
    assertThat(asked).hasSize(1);
  }

  @Test
  void agent_thatIsStopped_sendsNothingByASessionThatItHad() throws Exception {
    String token = token("halted", "s3");
    assertThat(use("s3", token).statusCode()).isEqualTo(404);
    assertThat(asked).hasSize(1);
    long before = readsAtMoto();
    assertThat(before).isPositive();

    StopStage.awaitAcknowledged(broker, StopStage.order(broker, "{\"agent\":\"halted\"}"));
    assertThat(use("s3", token).statusCode()).isBetween(400, 403);
    assertThat(asked).hasSize(1);
    assertThat(readsAtMoto()).isEqualTo(before);
  }

  @Test
  void tokenService_thatIsAwayOrAnswersJunk_isNoCredential_andNothingIsSent() throws Exception {
    long before = readsAtMoto();
    assertNoCredential(use("s3-away", token("bot", "s3-away")));
    String token = token("bot", "s3");
    for (Instead junk :
        List.of(
            new Instead(200, "<h1>canary</h1>"),
            new Instead(200, "{\"canary\":1}"),
            new Instead(302, "canary"),
            new Instead(500, "canary"),
            new Instead(200, "canary".repeat(20_000)))) {
      instead = junk;
      dropSessions();
      assertNoCredential(use("s3", token));
    }
    instead = null;
    // IAM believes the issuer that was registered with it, and this one is another.
    trusted = broker.url();
    dropSessions();
    assertNoCredential(use("s3", token));
    assertThat(answered).isEmpty();
    assertThat(readsAtMoto()).isEqualTo(before);
  }

  @Test
  void tokenService_thatIsAskedTooOften_isLeftAlone_andAskedAgainLater() throws Exception {
    String token = token("bot", "s3");
    instead =
        new Instead(
            400,
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                + "<Code>Throttling</Code><Message>canary</Message></Error></ErrorResponse>");
    for (int i = 0; i < 5; i++) {
      assertNoCredential(use("s3", token));
    }
    assertThat(asked).hasSizeLessThan(5);
    instead = null;
    Instant deadline = Instant.now().plusSeconds(60);
    while (use("s3", token).statusCode() != 404) {
      assertThat(Instant.now()).isBefore(deadline);
      Thread.sleep(100);
    }
  }
}
