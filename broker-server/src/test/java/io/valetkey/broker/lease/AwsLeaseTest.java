package io.valetkey.broker.lease;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.MotoServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.client.Lease;
import io.valetkey.client.RefusedException;
import io.valetkey.client.Valetkey;
import io.valetkey.client.aws.LeasedAwsCredentials;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.sts.StsClient;
import software.amazon.awssdk.services.sts.model.StsException;

/**
 * Leased AWS credentials through a real Vault, with moto as AWS, which checks every signature:
 * unmodified SDKs with two environment variables, and our own client. Invariants: P3, P6.
 */
@NeedsVault
class AwsLeaseTest {

  private static final Duration P3 = Duration.ofSeconds(30);
  private static final String DESTINATION =
      """
      {"kind":"aws","origin":"https://sts.amazonaws.com","credential":{"source":"vault-dynamic",\
      "engine":"aws","mount":"aws","role":"%s"}}\
      """;

  @TempDir private static Path folder;
  private static RealVault vault;
  private static Moto moto;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    moto = new Moto(folder);
    vault = RealVault.startOwn();
    moto.configure(vault);
    String token = LeaseWorld.brokerToken(vault);
    broker = RunningBroker.start(LeaseWorld.settings(vault.uri().toString(), token));
    String terms = "{\"lease\":{\"maxTtl\":\"%s\",\"maxLive\":50}}";
    new Policies(broker)
        .issuer(LeaseWorld.ISSUER)
        .agent("bot", LeaseWorld.ISSUER.name(), "bot-subject", "")
        .agent("stopped", LeaseWorld.ISSUER.name(), "stopped-subject", "")
        .destination("reports", DESTINATION.formatted("reports"))
        .scope("reports", "work", terms.formatted("10m"))
        .destination("reports-short", DESTINATION.formatted("reports"))
        .scope("reports-short", "work", terms.formatted("6s"))
        .destination("reports-sts", DESTINATION.formatted("reports-sts"))
        .scope("reports-sts", "work", terms.formatted("904s"))
        .grant("bot-reports", "bot", "reports", List.of("work"))
        .grant("stopped-reports", "stopped", "reports", List.of("work"))
        .grant("bot-short", "bot", "reports-short", List.of("work"))
        .grant("bot-sts", "bot", "reports-sts", List.of("work"))
        .await(broker);
  }

  @AfterAll
  static void stop() throws Exception {
    if (broker != null) {
      broker.close();
    }
    if (vault != null) {
      vault.close();
    }
    if (moto != null) {
      moto.close();
    }
  }

  private static Valetkey valetkey(String subject) {
    return Valetkey.builder()
        .brokerUrl(broker.url())
        .identity(() -> LeaseWorld.ISSUER.token(subject, broker.url()))
        .build();
  }

  private static StsClient sts(AwsCredentialsProvider credentials) {
    return StsClient.builder()
        .endpointOverride(URI.create(moto.url()))
        .region(Region.US_EAST_1)
        .httpClient(UrlConnectionHttpClient.create())
        .credentialsProvider(credentials)
        .build();
  }

  private static AwsCredentialsProvider fixed(Lease lease) {
    return StaticCredentialsProvider.create(
        AwsBasicCredentials.create(lease.get("access_key_id"), lease.get("secret_access_key")));
  }

  /** Runs a program whose whole environment is what an unmodified SDK needs. */
  private static String run(String destination, List<String> command) throws Exception {
    Path token = folder.resolve("token-" + destination);
    // As a projected ServiceAccount token: the identity token itself, and no more.
    Files.writeString(token, LeaseWorld.ISSUER.token("bot-subject", broker.url()));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    Map<String, String> environment = builder.environment();
    environment.clear();
    environment.put("PATH", "/usr/bin:/bin");
    environment.put("HOME", folder.toString());
    environment.put("AWS_REGION", "us-east-1");
    environment.put("AWS_DEFAULT_REGION", "us-east-1");
    environment.put("AWS_ENDPOINT_URL", moto.url());
    environment.put(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", broker.url() + "/v1/aws-credentials/" + destination);
    environment.put("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.toString());
    assertThat(String.join("\n", environment.values()))
        .doesNotContain(moto.secretKey())
        .doesNotContain(Files.readString(token))
        .doesNotContainPattern("A[KS]IA[A-Z0-9]{16}");
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
    return said.strip().lines().reduce((before, last) -> last).orElse("");
  }

  private static List<String> java(String bucket) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(AwsProgram.class.getName(), bucket));
    return command;
  }

  private static List<String> boto3(String bucket, int pauseSeconds) throws Exception {
    Path script =
        Files.writeString(
            folder.resolve(bucket + ".py"),
            """
            import boto3, sys, time
            session = boto3.Session()
            sts, s3 = session.client("sts"), session.client("s3")
            keys = lambda: session.get_credentials().get_frozen_credentials().access_key
            first, who = keys(), sts.get_caller_identity()["Arn"]
            s3.create_bucket(Bucket=sys.argv[1])
            s3.put_object(Bucket=sys.argv[1], Key="report", Body=b"42")
            read = s3.get_object(Bucket=sys.argv[1], Key="report")["Body"].read().decode()
            again = keys()
            time.sleep(float(sys.argv[2]))
            later = keys()
            print(who, read, first == again, first == later, sts.get_caller_identity()["Arn"])
            """);
    return List.of(MotoServer.python().toString(), script.toString(), bucket, "" + pauseSeconds);
  }

  private static Answer ask(String method, String destination, String authorization)
      throws Exception {
    return LeaseWorld.send(
        method,
        broker.url() + "/v1/aws-credentials/" + destination,
        "",
        null,
        "Authorization",
        authorization);
  }

  /** SDKs send the file's content as it is; people who write it may have put Bearer before it. */
  @Test
  void credentials_areGivenForIdentityAndAccessToken_bareAndAsBearer() throws Exception {
    String identity = LeaseWorld.ISSUER.token("bot-subject", broker.url());
    String access = LeaseWorld.token(broker.url(), "bot-subject", "reports");
    for (String proof : List.of(identity, "Bearer " + identity, access, "bearer " + access)) {
      Answer answer = ask("GET", "reports", proof);

      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.body().path("AccessKeyId").asString()).startsWith("AKIA");
      assertThat(answer.body().path("SecretAccessKey").asString()).isNotEmpty();
      assertThat(answer.body().has("Token")).isTrue();
      assertThat(answer.body().path("Expiration").asString())
          .matches("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z");
    }
  }

  @Test
  void credentials_areNotGiven_withoutAGrantOrProof() throws Exception {
    String identity = LeaseWorld.ISSUER.token("bot-subject", broker.url());
    String nobody = LeaseWorld.ISSUER.token("unknown-subject", broker.url());
    String foreign = LeaseWorld.token(broker.url(), "bot-subject", "reports-sts");
    int before = moto.users().size();

    assertThat(ask("GET", "reports", nobody).status()).isEqualTo(401);
    assertThat(ask("GET", "reports", identity + "x").status()).isEqualTo(401);
    assertThat(ask("GET", "no-such", identity).status()).isEqualTo(404);
    assertThat(ask("GET", "no-such", foreign).status()).isEqualTo(404);
    assertThat(ask("GET", "reports", foreign).status()).as("of another").isEqualTo(404);
    assertThat(ask("POST", "reports", identity).status()).isEqualTo(405);
    assertThat(moto.users().size()).as("and no user was made").isLessThanOrEqualTo(before);
  }

  /** botocore asks anew when less than 15 minutes are left: here after four seconds. */
  @Test
  void boto3_getsAndRefreshesSessionCredentials_unmodified() throws Exception {
    String[] said = run("reports-sts", boto3("boto-sts", 6)).split(" ");

    assertThat(said[0]).contains(":assumed-role/reports/");
    assertThat(said[1]).isEqualTo("42");
    assertThat(said[3]).as("the same credentials after the refresh").isEqualTo("False");
    assertThat(said[4]).contains(":assumed-role/reports/").isNotEqualTo(said[0]);
  }

  @Test
  void boto3_getsCredentialsOfAUserOfItsOwn_unmodified() throws Exception {
    String[] said = run("reports", boto3("boto-user", 0)).split(" ");

    assertThat(said[0]).contains(":user/vault-");
    assertThat(said[1]).isEqualTo("42");
  }

  @Test
  void javaSdk_getsSessionCredentials_unmodified() throws Exception {
    String[] said = run("reports-sts", java("java-sts")).split(" ");

    assertThat(said[0]).contains(":assumed-role/reports/");
    assertThat(said[1]).isEqualTo("42");
  }

  /** The SDK refreshes what has less than a minute left at the next request. */
  @Test
  void javaSdk_refreshesCredentials_unmodified() throws Exception {
    String[] said = run("reports-short", java("java-user")).split(" ");

    assertThat(said[0]).contains(":user/vault-");
    assertThat(said[1]).isEqualTo("42");
    assertThat(said[2]).contains(":user/vault-").isNotEqualTo(said[0]);
  }

  @Test
  void adapter_refreshesAhead_andGivesTheUserBack() throws Exception {
    LeasedAwsCredentials credentials =
        LeasedAwsCredentials.of(valetkey("bot-subject").destination("reports-short"));
    String first;
    try (StsClient sts = sts(credentials)) {
      first = sts.getCallerIdentity().arn();
      String now = first;
      long end = System.nanoTime() + Duration.ofSeconds(15).toNanos();
      while (now.equals(first)) {
        assertThat(System.nanoTime()).isLessThan(end);
        Thread.sleep(200);
        now = sts.getCallerIdentity().arn(); // Refused by moto if it came too late.
      }
      String user = now.substring(now.lastIndexOf('/') + 1);
      assertThat(moto.users()).contains(user);
      credentials.close();
      await("the user is gone", P3, () -> !moto.users().contains(user));
    }
    String user = first.substring(first.lastIndexOf('/') + 1);
    await("the first one too", P3, () -> !moto.users().contains(user));
  }

  @Test
  void release_deletesTheUser_andItsKeysAreRefused() {
    Lease lease = valetkey("bot-subject").lease("reports");
    try (StsClient sts = sts(fixed(lease))) {
      String arn = sts.getCallerIdentity().arn();
      String user = arn.substring(arn.lastIndexOf('/') + 1);
      assertThat(moto.users()).contains(user);

      lease.close();

      assertThat(moto.users()).doesNotContain(user);
      assertThatThrownBy(sts::getCallerIdentity).isInstanceOf(StsException.class);
    }
  }

  @Test
  void stop_deletesTheUser_andNobodyGetsAnother() throws Exception {
    Valetkey valetkey = valetkey("stopped-subject");
    Lease lease = valetkey.lease("reports");
    try (StsClient sts = sts(fixed(lease))) {
      String arn = sts.getCallerIdentity().arn();
      String user = arn.substring(arn.lastIndexOf('/') + 1);
      Answer stop =
          LeaseWorld.send(
              "POST",
              broker.url() + "/admin/v1/stops",
              RunningBroker.BOOTSTRAP_TOKEN,
              "{\"target\":{\"agent\":\"stopped\"},\"reason\":\"a test\"}");
      assertThat(stop.status()).isEqualTo(201);

      await("the user is gone", P3, () -> !moto.users().contains(user));
      assertThatThrownBy(sts::getCallerIdentity).isInstanceOf(StsException.class);
      assertThatThrownBy(() -> valetkey.lease("reports")).isInstanceOf(RefusedException.class);
    }
  }

  /** AWS has no way to take a session token back: the broker says so instead of pretending. */
  @Test
  void sessionCredentials_cannotBeTakenBack_andTheAnswerSaysSo() throws Exception {
    String token = LeaseWorld.token(broker.url(), "bot-subject", "reports-sts");
    Answer lease = LeaseWorld.lease(broker.url(), token, null, "{\"destination\":\"reports-sts\"}");

    Answer released =
        LeaseWorld.send("DELETE", broker.url() + "/v1/leases/" + lease.id(), token, null);

    assertThat(released.status()).isEqualTo(202);
    assertThat(released.state()).isNotEqualTo("revoked");
  }
}
