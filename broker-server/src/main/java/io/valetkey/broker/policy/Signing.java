package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** How requests to a destination are signed, by a key that is never sent. */
public sealed interface Signing {

  /** The lower-case names of the headers that are made anew with the signature. */
  Set<String> replaced();

  /** The fields that the credential must have. */
  List<String> fields();

  /** The fields that it may have. */
  default List<String> optionalFields() {
    return List.of();
  }

  /** For whom or how it signs, in words that go on after "it signs". */
  String words();

  /**
   * Signature Version 4 of AWS.
   *
   * @param service the service as signatures name it, for example {@code s3}
   * @param region the region, for example {@code eu-central-1}
   */
  record AwsSigV4(String service, String region) implements Signing {

    /** The field of the credential with the access key id. */
    public static final String KEY_ID = "access_key_id";

    /** The field with the secret access key. */
    public static final String SECRET_KEY = "secret_access_key";

    /** The field with the token of a session, if the key is one of a session. */
    public static final String SESSION_TOKEN = "session_token";

    /** The headers that are made anew for the signature, in lower case. */
    public static final Set<String> REPLACED = Set.of("date", "x-amz-date", "x-amz-content-sha256");

    /** Whether it is S3, which differs from all others in what is signed. */
    public boolean isS3() {
      return service.equals("s3");
    }

    @Override
    public Set<String> replaced() {
      return REPLACED;
    }

    @Override
    public List<String> fields() {
      return List.of(KEY_ID, SECRET_KEY);
    }

    @Override
    public List<String> optionalFields() {
      return List.of(SESSION_TOKEN);
    }

    @Override
    public String words() {
      return "for " + service + " in " + region;
    }
  }

  /**
   * A provider's own scheme: an HMAC (RFC 2104) over a text that is made of the request.
   *
   * @param algorithm the hash
   * @param keyEncoding how the key is written
   * @param timestamp how {@code {timestamp}} is written
   * @param message what is signed
   * @param headers what is sent with the request, the signature among them
   */
  record Hmac(
      Algorithm algorithm,
      KeyEncoding keyEncoding,
      TimeForm timestamp,
      SignatureTemplate message,
      List<Header> headers)
      implements Signing {

    /** The hash of an HMAC. */
    public enum Algorithm {
      SHA256("HmacSHA256"),
      SHA512("HmacSHA512");

      private final String standardName;

      Algorithm(String standardName) {
        this.standardName = standardName;
      }

      /** What Java calls it. */
      public String standardName() {
        return standardName;
      }
    }

    /** How the time of a signature is written. */
    public enum TimeForm {
      /** Since 1970, as Unix counts. */
      SECONDS,
      /** The same in milliseconds. */
      MILLISECONDS,
      /** RFC 3339 in UTC with three decimals. */
      RFC3339
    }

    /**
     * One header.
     *
     * @param header its name
     * @param value its value
     */
    public record Header(String header, SignatureTemplate value) {}

    /** Whether the body has to be known before anything can be signed. */
    public boolean readsBody() {
      return templates().anyMatch(SignatureTemplate::readsBody);
    }

    @Override
    public Set<String> replaced() {
      return headers.stream()
          .map(header -> header.header().toLowerCase(Locale.ROOT))
          .collect(Collectors.toUnmodifiableSet());
    }

    @Override
    public List<String> fields() {
      Set<String> names = new LinkedHashSet<>();
      names.add(SIGNING_KEY);
      templates().flatMap(template -> template.fields().stream()).sorted().forEach(names::add);
      return List.copyOf(names);
    }

    @Override
    public String words() {
      return "by HMAC for "
          + headers.stream().map(Header::header).collect(Collectors.joining(", "));
    }

    private Stream<SignatureTemplate> templates() {
      return Stream.concat(Stream.of(message), headers.stream().map(Header::value));
    }
  }

  /**
   * HTTP Message Signatures (RFC 9421) with {@code hmac-sha256}.
   *
   * @param keyEncoding how the key is written
   * @param keyId which key it is, for the verifier; not said if null
   * @param label the label of the signature in the two fields
   * @param components what is signed: derived components, and lower-case names of fields. A field
   *     that a request does not have is left out
   * @param expires how long a signature is good for; as long as the verifier likes if null
   */
  record HttpMessage(
      KeyEncoding keyEncoding,
      @Nullable String keyId,
      String label,
      List<String> components,
      @Nullable Duration expires)
      implements Signing {

    /** The derived components (RFC 9421 section 2.2) that a request of ours has. */
    public static final List<String> DERIVED =
        List.of(
            "@method",
            "@target-uri",
            "@authority",
            "@scheme",
            "@request-target",
            "@path",
            "@query");

    /** The field with the hash of the body (RFC 9530), which is made by the gateway. */
    public static final String DIGEST = "content-digest";

    /** Whether the body has to be known before anything can be signed. */
    public boolean readsBody() {
      return components.contains(DIGEST);
    }

    @Override
    public Set<String> replaced() {
      List<String> names = new ArrayList<>(List.of("signature", "signature-input"));
      if (readsBody()) {
        names.add(DIGEST);
      }
      return Set.copyOf(names);
    }

    @Override
    public List<String> fields() {
      return List.of(SIGNING_KEY);
    }

    @Override
    public String words() {
      return "by RFC 9421 as " + label;
    }
  }

  /** How the key of an HMAC is written in the secret. */
  enum KeyEncoding {
    /** The text's own bytes, in UTF-8. */
    TEXT,
    /** RFC 4648 section 4. */
    BASE64,
    /** RFC 4648 section 8, in either case. */
    HEX
  }

  /** The field of the credential that holds the key of an HMAC. */
  String SIGNING_KEY = "signing_key";
}
