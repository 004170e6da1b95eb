package io.valetkey.broker.gateway;

import io.valetkey.broker.crypto.HmacSha256;
import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Signature Version 4 of AWS, in the {@code Authorization} header. It signs the very bytes that are
 * sent: path, query and fields are taken as they are and brought into the canonical form for the
 * signature alone.
 *
 * @see <a
 *     href="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html">AWS
 *     IAM, Create a signed AWS API request</a>
 */
final class SigV4 {

  static final String UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

  private static final String ALGORITHM = "AWS4-HMAC-SHA256";
  private static final String S3 = "s3";
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
  private static final int DATE_LENGTH = 8;

  private final String service;
  private final String region;

  /**
   * Signs for one service in one region.
   *
   * @param service as AWS names it in signatures, for example {@code s3}
   */
  SigV4(String service, String region) {
    this.service = service;
    this.region = region;
  }

  /**
   * What is signed.
   *
   * @param path as it is sent; it starts with a slash and has no dot segment
   * @param query as it is sent, without the question mark, or null
   * @param signed every field that the signature covers, {@code Host} and {@code X-Amz-Date} among
   *     them
   * @param payload the SHA-256 of the body in lower-case hex, or one of AWS's words for none
   */
  record Request(
      String method, String path, @Nullable String query, Fields signed, String payload) {}

  /** How a time is written in {@code X-Amz-Date}. */
  static String time(Instant at) {
    return TIME.format(at);
  }

  static String sha256(byte[] body) {
    return HexFormat.of().formatHex(Sha256.of(body));
  }

  /**
   * The value of {@code Authorization}.
   *
   * @param at the time that stands in {@code X-Amz-Date}
   */
  String authorization(Request request, String accessKeyId, SecretValue secretKey, Instant at) {
    String time = time(at);
    String date = time.substring(0, DATE_LENGTH);
    String scope = date + "/" + region + "/" + service + "/aws4_request";
    SortedMap<String, String> headers = headers(request.signed());
    String names = String.join(";", headers.keySet());
    String canonical = canonical(request, headers, names);
    String toSign =
        ALGORITHM
            + "\n"
            + time
            + "\n"
            + scope
            + "\n"
            // Fields travel as ISO 8859-1, one byte for each character; the rest is ASCII.
            + sha256(canonical.getBytes(StandardCharsets.ISO_8859_1));
    byte[] key = ("AWS4" + secretKey.reveal()).getBytes(StandardCharsets.UTF_8);
    for (String part : List.of(date, region, service, "aws4_request")) {
      key = HmacSha256.of(key, part);
    }
    return "%s Credential=%s/%s, SignedHeaders=%s, Signature=%s"
        .formatted(
            ALGORITHM,
            accessKeyId,
            scope,
            names,
            HexFormat.of().formatHex(HmacSha256.of(key, toSign)));
  }

  private String canonical(Request request, SortedMap<String, String> headers, String names) {
    StringBuilder canonical = new StringBuilder(512);
    canonical.append(request.method()).append('\n');
    // Every service but S3 encodes once more what it got.
    canonical.append(service.equals(S3) ? request.path() : encode(request.path(), "/"));
    canonical.append('\n').append(query(request.query())).append('\n');
    headers.forEach((name, value) -> canonical.append(name).append(':').append(value).append('\n'));
    return canonical.append('\n').append(names).append('\n').append(request.payload()).toString();
  }

  private static SortedMap<String, String> headers(Fields signed) {
    SortedMap<String, String> headers = new TreeMap<>();
    for (Fields.Field field : signed.list()) {
      String value = field.value().strip().replaceAll("\\s+", " ");
      headers.merge(field.key(), value, (first, next) -> first + "," + next);
    }
    return headers;
  }

  private static String query(@Nullable String query) {
    if (query == null || query.isEmpty()) {
      return "";
    }
    record Parameter(String name, String value) {}
    List<Parameter> parameters = new ArrayList<>();
    for (String part : query.split("&", -1)) {
      if (part.isEmpty()) {
        continue;
      }
      int equals = part.indexOf('=');
      String name = equals < 0 ? part : part.substring(0, equals);
      String value = equals < 0 ? "" : part.substring(equals + 1);
      parameters.add(new Parameter(encode(decode(name), ""), encode(decode(value), "")));
    }
    parameters.sort(Comparator.comparing(Parameter::name).thenComparing(Parameter::value));
    return parameters.stream()
        .map(parameter -> parameter.name() + "=" + parameter.value())
        .collect(Collectors.joining("&"));
  }

  /** The bytes behind the triplets, one character for each; what is no triplet means itself. */
  private static String decode(String text) {
    if (text.indexOf('%') < 0) {
      return text;
    }
    StringBuilder bytes = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '%'
          && i + 2 < text.length()
          && HexFormat.isHexDigit(text.charAt(i + 1))
          && HexFormat.isHexDigit(text.charAt(i + 2))) {
        bytes.append((char) HexFormat.fromHexDigits(text, i + 1, i + 3));
        i += 2;
      } else {
        bytes.append(c);
      }
    }
    return bytes.toString();
  }

  /** AWS's own percent-encoding: all but RFC 3986's unreserved characters, in upper case. */
  private static String encode(String bytes, String kept) {
    StringBuilder encoded = new StringBuilder(bytes.length() + 16);
    for (int i = 0; i < bytes.length(); i++) {
      char c = bytes.charAt(i);
      if (isUnreserved(c) || kept.indexOf(c) >= 0) {
        encoded.append(c);
      } else {
        encoded.append('%').append(HexFormat.of().withUpperCase().toHexDigits((byte) c));
      }
    }
    return encoded.toString();
  }

  private static boolean isUnreserved(char c) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || "-._~".indexOf(c) >= 0;
  }
}
