package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Unmodified boto3 works through the gateway, against moto as AWS over TLS, which recomputes every
 * signature with botocore's own signer. The program holds made-up keys and a Valetkey token.
 * Invariants: P6, P8, G3, G11, G12.
 */
class AwsSdkTest {

  private static final String SET_UP =
      """
      import boto3, sys, urllib3
      urllib3.disable_warnings()
      def client(name):
          return boto3.client(name, endpoint_url=sys.argv[1], region_name="eu-central-1", verify=False,
                              aws_access_key_id="any", aws_secret_access_key="any")
      iam = client("iam")
      iam.create_user(UserName="gateway")
      everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
      iam.put_user_policy(UserName="gateway", PolicyName="all", PolicyDocument=everything)
      key = iam.create_access_key(UserName="gateway")["AccessKey"]
      s3 = client("s3")
      for bucket in ("reports", "payroll"):
          s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
      s3.put_object(Bucket="payroll", Key="secret", Body=b"canary-payroll")
      print(key["AccessKeyId"], key["SecretAccessKey"])
      """;

  /** What the agent's programs begin with: the environment says everything. */
  private static final String CLIENT =
      """
      import boto3, io, os, sys, botocore.exceptions
      from boto3.s3.transfer import TransferConfig
      from botocore.config import Config
      s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))
      """;

  @TempDir private static Path folder;
  private static BrokeredWorld world;
  private static MotoServer moto;
  private static String realSecret;

  @BeforeAll
  static void start() throws Exception {
    world = new BrokeredWorld(folder);
    moto = new MotoServer(folder, world.authority);
    int port = moto.uri().getPort();
    String[] pair = moto.run(SET_UP, Map.of(), moto.uri().toString()).strip().split(" ", -1);
    assertThat(pair).hasSize(2);
    realSecret = pair[1];
    moto.exempt("0");
    world.credential(
        "aws",
        "{\"access_key_id\":\"%s\",\"secret_access_key\":\"%s\"}".formatted(pair[0], pair[1]));
    world.destination(
        "s3",
        destination(port, "s3"),
        "{\"methods\":[\"GET\",\"HEAD\",\"PUT\",\"POST\",\"DELETE\"],"
            + "\"paths\":[\"/reports\",\"/reports/**\"]}");
    world.destination(
        "keys",
        destination(port, "s3").replaceFirst("\\{", "{\"rawPath\":true,"),
        "{\"methods\":[\"GET\",\"HEAD\",\"PUT\",\"POST\",\"DELETE\"],"
            + "\"paths\":[\"/reports\",\"/reports/odd/**\"]}");
    world.destination("dynamodb", destination(port, "dynamodb"), BrokeredWorld.rule("POST", "/"));
  }

  private static String destination(int port, String service) {
    return """
    {"kind":"http","origin":"https://localhost:%d","credential":{"source":"file","name":"aws"},
     "signing":{"type":"aws-sigv4","service":"%s","region":"eu-central-1"},"maxRequestBody":"64MiB"}\
    """
        .formatted(port, service);
  }

  @AfterAll
  static void stop() throws Exception {
    if (moto != null) {
      moto.close();
    }
    if (world != null) {
      world.close();
    }
  }

  @Test
  void s3_putsGetsListsAndDeletes_underOddNamesToo() throws Exception {
    String said =
        agent(
            """
            for name in ("plain", "a b/c+d=e&f", "\\u00fc (1)!*'.txt", "deep/er/key~"):
                s3.put_object(Bucket="reports", Key=name, Body=b"content of it", ContentType="text/plain",
                              Metadata={"note": "two  spaces"})
                answer = s3.get_object(Bucket="reports", Key=name)
                assert answer["Body"].read() == b"content of it", name
                assert answer["Metadata"] == {"note": "two  spaces"}, answer["Metadata"]
                assert answer["ContentType"] == "text/plain"
                assert not answer.get("ContentEncoding"), answer["ContentEncoding"]
            listed = s3.list_objects_v2(Bucket="reports", Prefix="a b/", Delimiter="+", MaxKeys=10)
            print([entry["Prefix"] for entry in listed["CommonPrefixes"]])
            s3.put_object(Bucket="reports", Key="empty", Body=b"")
            print(s3.head_object(Bucket="reports", Key="empty")["ContentLength"])
            s3.delete_object(Bucket="reports", Key="empty")
            print(len(s3.list_objects_v2(Bucket="reports")["Contents"]) >= 4)
            """,
            "s3");
    assertThat(said.lines()).containsExactly("['a b/c+']", "0", "True");
  }

  /** What the key names is what comes back, so the signature is over the bytes that were sent. */
  @Test
  void s3_whereTheDestinationTakesRawPaths_anyKeyWorksBelowThePrefixAndNoOther() throws Exception {
    String said =
        agent(
            """
            keys = ["a//b", "/lead", "a%2Fb", "a%252Fb", "50%", "a b", "\\u00fc", "a+b", "a=b", "a;b=c", "a\\\\b", "a?b#c", "~a_b-c.d",
                    "a&b$c@d:e,f'g(h)!*", "..x/.y/z..", "trailing/", "//"]
            for name in keys:
                s3.put_object(Bucket="reports", Key="odd/" + name, Body=name.encode())
            for name in keys:
                got = s3.get_object(Bucket="reports", Key="odd/" + name)["Body"].read()
                assert got == name.encode(), (name, got)
            s3.upload_fileobj(io.BytesIO(b"x" * (6 << 20)), "reports", "odd/parts//of it",
                Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, use_threads=False))
            s3.copy_object(Bucket="reports", Key="odd/copy//", CopySource={"Bucket": "reports", "Key": "odd/a//b"})
            listed = [o["Key"] for o in s3.list_objects_v2(Bucket="reports", Prefix="odd/", MaxKeys=100)["Contents"]]
            assert set("odd/" + name for name in keys) | {"odd/parts//of it", "odd/copy//"} == set(listed), listed
            for name in ("odd", "/odd/a", "odd/../plain", "odd/%2e%2e/plain", "odd/..\\\\..\\\\plain", "od%64/a", "other/a"):
                try:
                    s3.put_object(Bucket="reports", Key=name, Body=b"x")
                    print("done", name)
                except botocore.exceptions.ClientError as e:
                    print(e.response["ResponseMetadata"]["HTTPStatusCode"])
            try:
                s3.copy_object(Bucket="reports", Key="odd/stolen", CopySource="reports//odd/../x")
                print("done")
            except botocore.exceptions.ClientError as e:
                print(e.response["ResponseMetadata"]["HTTPStatusCode"])
            """,
            "keys");
    assertThat(said.lines())
        .containsExactly("403", "403", "400", "400", "400", "403", "403", "400");
  }

  @Test
  void s3_uploadsInParts_withChecksumsBehindTheChunks() throws Exception {
    String said =
        agent(
            """
            body = os.urandom(12 << 20)
            s3.upload_fileobj(io.BytesIO(body), "reports", "large",
                ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, use_threads=False))
            got = s3.get_object(Bucket="reports", Key="large")["Body"].read()
            print(got == body)
            """,
            "s3");
    assertThat(said.strip()).isEqualTo("True");
  }

  @Test
  void s3_outsideTheScope_andByCopyFromOutsideIt_isRefused() throws Exception {
    String said =
        agent(
            """
            s3.put_object(Bucket="reports", Key="own", Body=b"x")
            for call in (
                lambda: s3.get_object(Bucket="payroll", Key="secret"),
                lambda: s3.copy_object(Bucket="reports", Key="stolen", CopySource="payroll/secret"),
                lambda: s3.copy_object(Bucket="reports", Key="stolen", CopySource="arn:aws:s3:eu-central-1:1:accesspoint/p/object/secret")):
                try:
                    call()
                    print("done")
                except botocore.exceptions.ClientError as e:
                    print(e.response["ResponseMetadata"]["HTTPStatusCode"])
            s3.copy_object(Bucket="reports", Key="copied", CopySource="reports/own")
            print(s3.get_object(Bucket="reports", Key="copied")["Body"].read().decode())
            """,
            "s3");
    assertThat(said.lines()).containsExactly("403", "403", "403", "x");
  }

  @Test
  void presignedUrl_ofTheAgent_isNoWayIn() throws Exception {
    String said =
        agent(
            """
            import urllib.request, urllib.error, ssl
            address = s3.generate_presigned_url("get_object", Params={"Bucket": "reports", "Key": "plain"})
            try:
                urllib.request.urlopen(address, context=ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"]))
            except urllib.error.HTTPError as e:
                print(e.code, e.headers["Valetkey-Error"])
            """,
            "s3");
    assertThat(said.strip()).isEqualTo("401 unauthorized");
  }

  @Test
  void otherServices_areSignedWithTheHashOfTheirBody() throws Exception {
    String said =
        agent(
            """
            table = boto3.client("dynamodb")
            table.create_table(TableName="t", BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
            table.put_item(TableName="t", Item={"id": {"S": "\\u20ac"}})
            print(table.get_item(TableName="t", Key={"id": {"S": "\\u20ac"}})["Item"]["id"]["S"])
            """,
            "dynamodb");
    assertThat(said.strip()).isEqualTo("\u20ac");
  }

  private static String agent(String program, String destination) throws Exception {
    String token = world.token(destination);
    String said =
        moto.run(
            CLIENT + program,
            Map.of(
                "AWS_ENDPOINT_URL", world.gatewayUrl + "/d/" + destination,
                "AWS_ACCESS_KEY_ID", "valetkey",
                "AWS_SECRET_ACCESS_KEY", "valetkey",
                "AWS_SESSION_TOKEN", token,
                "AWS_REGION", "eu-central-1",
                "AWS_DEFAULT_REGION", "eu-central-1",
                "AWS_CA_BUNDLE", world.authorityPem.toString()));
    assertThat(said).doesNotContain(realSecret);
    return said;
  }
}
