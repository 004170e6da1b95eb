package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.secret.SecretValue;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.http.ContentStreamProvider;
import software.amazon.awssdk.http.SdkHttpMethod;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.auth.aws.signer.AwsV4HttpSigner;
import software.amazon.awssdk.http.auth.spi.signer.HttpSigner;
import software.amazon.awssdk.http.auth.spi.signer.SignedRequest;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;

/** Our signatures are those that AWS's own SDK makes, and those of the published test suite. */
class SigV4Test {

  private static final String KEY_ID = "AKIDEXAMPLE";
  private static final String SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  private static final Instant AT = Instant.parse("2015-08-30T12:36:00Z");

  /** The case {@code get-vanilla} of AWS's test suite. */
  @Test
  void authorization_isThatOfTheTestSuite() {
    Fields signed =
        new Fields().add("Host", "example.amazonaws.com").add("X-Amz-Date", "20150830T123600Z");
    assertThat(
            new SigV4("service", "us-east-1")
                .authorization(
                    new SigV4.Request("GET", "/", null, signed, SigV4.sha256(new byte[0])),
                    KEY_ID,
                    SecretValue.of(SECRET),
                    AT))
        .isEqualTo(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
                + " SignedHeaders=host;x-amz-date,"
                + " Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  }

  @Property(tries = 300)
  void authorization_isWhatTheSdkOfAwsMakes(
      @ForAll("services") String service,
      @ForAll("segments") List<String> segments,
      @ForAll("parameters") Map<String, String> parameters,
      @ForAll("values") String value,
      @ForAll("text") String body) {
    String path =
        segments.stream().map(SigV4Test::encode).collect(Collectors.joining("/", "/", ""));
    SignedRequest sdk = sdk(service, path, parameters, value, body);
    String authorization = sdk.request().firstMatchingHeader("Authorization").orElseThrow();
    String[] names = authorization.replaceAll(".*SignedHeaders=([^,]*),.*", "$1").split(";");
    Fields signed = new Fields();
    for (String name : names) {
      signed.add(name, sdk.request().firstMatchingHeader(name).orElseThrow());
    }
    String query =
        parameters.entrySet().stream()
            .map(entry -> encode(entry.getKey()) + "=" + encode(entry.getValue()))
            .collect(Collectors.joining("&"));

    String ours =
        new SigV4(service, "eu-central-1")
            .authorization(
                new SigV4.Request(
                    "PUT",
                    path,
                    query,
                    signed,
                    SigV4.sha256(body.getBytes(StandardCharsets.UTF_8))),
                KEY_ID,
                SecretValue.of(SECRET),
                AT);

    assertThat(ours).isEqualTo(authorization);
  }

  private static SignedRequest sdk(
      String service, String path, Map<String, String> parameters, String value, String body) {
    var request =
        SdkHttpRequest.builder()
            .method(SdkHttpMethod.PUT)
            .uri(URI.create("https://s3.eu-central-1.amazonaws.com"))
            .encodedPath(path)
            .putHeader("x-amz-meta-note", value)
            .putHeader("Content-Type", "text/plain");
    parameters.forEach(request::putRawQueryParameter);
    return AwsV4HttpSigner.create()
        .sign(signing ->
            signing
                .identity(AwsCredentialsIdentity.create(KEY_ID, SECRET))
                .request(request.build())
                .payload(ContentStreamProvider.fromUtf8String(body))
                .putProperty(AwsV4HttpSigner.SERVICE_SIGNING_NAME, service)
                .putProperty(AwsV4HttpSigner.REGION_NAME, "eu-central-1")
                .putProperty(AwsV4HttpSigner.DOUBLE_URL_ENCODE, !service.equals("s3"))
                .putProperty(AwsV4HttpSigner.NORMALIZE_PATH, false)
                .putProperty(AwsV4HttpSigner.PAYLOAD_SIGNING_ENABLED, true)
                .putProperty(HttpSigner.SIGNING_CLOCK, Clock.fixed(AT, ZoneOffset.UTC)));
  }

  @Provide
  Arbitrary<String> services() {
    return Arbitraries.of("s3", "dynamodb", "execute-api");
  }

  @Provide
  Arbitrary<List<String>> segments() {
    return text().list().ofMinSize(1).ofMaxSize(4);
  }

  @Provide
  Arbitrary<Map<String, String>> parameters() {
    return Arbitraries.maps(text().filter(name -> !name.isEmpty()), text()).ofMaxSize(4);
  }

  @Provide
  Arbitrary<String> text() {
    return Arbitraries.strings().withChars("aZ09-._~ /%+=&;:@!$'()*,\u00fc\u20ac").ofMaxLength(12);
  }

  /** Values with runs of spaces inside, and none at the ends, as they travel in HTTP. */
  @Provide
  Arbitrary<String> values() {
    return Arbitraries.strings()
        .withChars("ab  ,;=")
        .ofMinLength(1)
        .ofMaxLength(12)
        .map(text -> "x" + text + "y");
  }

  private static String encode(String text) {
    StringBuilder encoded = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      if ((c < 0x80 && Character.isLetterOrDigit(c)) || "-._~".indexOf(c) >= 0) {
        encoded.append(c);
      } else {
        encoded.append("%%%02X".formatted((int) c));
      }
    }
    return encoded.toString();
  }
}
