package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.CredentialFields;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Signatures of RFC 9421; what somebody else's verifier says is in {@link SignedRequestsTest}. */
class MessageSignatureTest {

  private static final Signing.KeyEncoding BASE64 = Signing.KeyEncoding.BASE64;
  private static final Instant CREATED = Instant.ofEpochSecond(1618884473);

  /** The shared secret of RFC 9421 appendix B.1.5. */
  private static final SigningKey KEY =
      SigningKey.of(
          new Credentials.Credential(
              CredentialFields.of(
                  Map.of(
                      Signing.SIGNING_KEY,
                      SecretValue.of(
                          "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8j"
                              + "sasjlTMtDQ=="))),
              1),
          BASE64);

  @Test
  void sign_makesTheSignatureOfTheRfc() {
    Fields fields = request();
    sign(fields, "sig-b25", null, "date", "@authority", "content-type");

    assertThat(fields.all("signature-input"))
        .containsExactly(
            "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473"
                + ";keyid=\"test-shared-secret\"");
    assertThat(fields.all("signature"))
        .containsExactly("sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
  }

  @Test
  void sign_leavesOutWhatTheRequestDoesNotHave_andSaysWhenItEnds() {
    Fields fields = request();
    sign(fields, "s", Duration.ofSeconds(30), "@method", "x-absent", "@query");

    assertThat(fields.all("signature-input"))
        .containsExactly(
            "s=(\"@method\" \"@query\");created=1618884473;expires=1618884503"
                + ";keyid=\"test-shared-secret\"");
  }

  @Test
  void sign_ofEachComponent_differsWhenItDiffers() {
    for (String component : Signing.HttpMessage.DERIVED) {
      if (component.equals("@scheme")) {
        continue; // there is only one
      }
      String signed = signature("POST", "example.com", "/foo", "a=1", component);
      assertThat(
              List.of(
                  signature("PUT", "example.com", "/foo", "a=1", component),
                  signature("POST", "example.com:8443", "/foo", "a=1", component),
                  signature("POST", "example.com", "/foo/", "a=1", component),
                  signature("POST", "example.com", "/foo", "a=2", component)))
          .as(component)
          .anyMatch(other -> !other.equals(signed));
      assertThat(signature("POST", "EXAMPLE.com", "/foo", "a=1", component)).isEqualTo(signed);
    }
  }

  private static String signature(
      String method, String host, String path, String query, String component) {
    Fields fields = new Fields();
    new MessageSignature(new Draft(method, host, path, query, fields))
        .sign(new Signing.HttpMessage(BASE64, null, "s", List.of(component), null), KEY, CREATED);
    return fields.first("signature");
  }

  private static Fields request() {
    return new Fields()
        .add("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
        .add("Content-Type", "application/json");
  }

  private static void sign(Fields fields, String label, Duration expires, String... components) {
    new MessageSignature(new Draft("POST", "example.com", "/foo", "param=Value&Pet=dog", fields))
        .sign(
            new Signing.HttpMessage(
                BASE64, "test-shared-secret", label, List.of(components), expires),
            KEY,
            CREATED);
  }
}
