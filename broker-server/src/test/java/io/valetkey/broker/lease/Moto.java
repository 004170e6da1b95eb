package io.valetkey.broker.lease;

import io.valetkey.broker.MotoServer;
import io.valetkey.realparts.RealVault;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.iam.IamClient;

/**
 * moto as AWS: STS, IAM and S3 in a process of its own. After its set-up it checks every signature
 * against the users and roles that there are, so a credential that is gone is refused.
 */
final class Moto implements AutoCloseable {

  static final String ROLE = "arn:aws:iam::123456789012:role/reports";

  private static final String ALLOW =
      """
      {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","sts:*"],"Resource":"*"}]}\
      """;

  private static final String SET_UP =
      """
      import boto3, sys
      endpoint, role, allow = sys.argv[1:]
      iam = boto3.client("iam", endpoint_url=endpoint, region_name="us-east-1",
                         aws_access_key_id="any", aws_secret_access_key="any")
      iam.create_user(UserName="vault")
      everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
      iam.put_user_policy(UserName="vault", PolicyName="all", PolicyDocument=everything)
      trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
      iam.create_role(RoleName=role.rsplit("/", 1)[1], AssumeRolePolicyDocument=trust)
      iam.put_role_policy(RoleName=role.rsplit("/", 1)[1], PolicyName="work", PolicyDocument=allow)
      key = iam.create_access_key(UserName="vault")["AccessKey"]
      print(key["AccessKeyId"], key["SecretAccessKey"])
      """;

  private final MotoServer server;
  private final String url;
  private final String accessKey;
  private final String secretKey;
  private final IamClient iam;

  Moto(Path folder) throws Exception {
    this.server = new MotoServer(folder);
    this.url = server.uri().toString();
    String[] key;
    try {
      key = setUp(folder).split(" ", -1);
      server.exempt("0"); // From here on without exception.
    } catch (Exception | AssertionError e) {
      server.close();
      throw e;
    }
    this.accessKey = key[0];
    this.secretKey = key[1];
    this.iam =
        IamClient.builder()
            .endpointOverride(URI.create(url))
            .region(Region.AWS_GLOBAL)
            .httpClient(UrlConnectionHttpClient.create())
            .credentialsProvider(
                StaticCredentialsProvider.create(AwsBasicCredentials.create(accessKey, secretKey)))
            .build();
  }

  private String setUp(Path folder) throws Exception {
    Path script = Files.writeString(folder.resolve("set-up.py"), SET_UP);
    Process setUp =
        new ProcessBuilder(MotoServer.python().toString(), script.toString(), url, ROLE, ALLOW)
            .redirectErrorStream(true)
            .start();
    String said = new String(setUp.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (setUp.waitFor() != 0) {
      throw new AssertionError(said);
    }
    return said.strip();
  }

  String url() {
    return url;
  }

  String secretKey() {
    return secretKey;
  }

  /** The users that Vault has made and not deleted. */
  List<String> users() {
    return iam.listUsers().users().stream()
        .map(user -> user.userName())
        .filter(name -> !name.equals("vault"))
        .toList();
  }

  /** Sets Vault's AWS engine up at {@code aws/}, with a role of each kind, and the policies. */
  void configure(RealVault vault) {
    vault.send("POST", "sys/mounts/aws", Map.of("type", "aws"));
    vault.send(
        "POST",
        "aws/config/root",
        Map.of(
            "access_key", accessKey,
            "secret_key", secretKey,
            "region", "us-east-1",
            "iam_endpoint", url,
            "sts_endpoint", url,
            "sts_region", "us-east-1"));
    vault.send(
        "POST",
        "aws/roles/reports",
        Map.of("credential_type", "iam_user", "policy_document", ALLOW));
    vault.send(
        "POST",
        "aws/roles/reports-sts",
        Map.of("credential_type", "assumed_role", "role_arns", List.of(ROLE)));
    for (String role : List.of("reports", "reports-sts")) {
      vault.policy(
          "valetkey-lease-aws-" + role,
          "path \"aws/creds/" + role + "\" { capabilities = [\"update\"] }");
    }
  }

  @Override
  public void close() throws InterruptedException {
    iam.close();
    server.close();
  }
}
