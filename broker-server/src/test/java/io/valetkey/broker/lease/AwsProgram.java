package io.valetkey.broker.lease;

import java.util.ArrayList;
import java.util.List;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.sts.StsClient;

/**
 * A program that knows AWS's own SDK and nothing of ours: everything that concerns credentials is
 * in two environment variables. It prints who it is twice, and what it read from a bucket.
 */
final class AwsProgram {

  private AwsProgram() {}

  public static void main(String[] arguments) {
    List<String> said = new ArrayList<>();
    try (var http = UrlConnectionHttpClient.create();
        StsClient sts = StsClient.builder().httpClient(http).build();
        S3Client s3 = S3Client.builder().httpClient(http).forcePathStyle(true).build()) {
      said.add(sts.getCallerIdentity().arn());
      s3.createBucket(bucket -> bucket.bucket(arguments[0]));
      s3.putObject(
          object -> object.bucket(arguments[0]).key("report"), RequestBody.fromString("42"));
      said.add(
          s3.getObjectAsBytes(object -> object.bucket(arguments[0]).key("report")).asUtf8String());
      said.add(sts.getCallerIdentity().arn());
    }
    System.out.println(String.join(" ", said));
  }
}
