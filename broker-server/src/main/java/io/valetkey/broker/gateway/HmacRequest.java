package io.valetkey.broker.gateway;

import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.SignatureTemplate;
import io.valetkey.broker.policy.SignatureTemplate.Part;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * A request that is signed as its provider laid it down, by templates. What the caller sent in the
 * headers that are filled is dropped.
 */
final class HmacRequest {

  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int NONCE_BYTES = 16;
  private static final byte[] NO_BODY = new byte[0];
  private static final DateTimeFormatter RFC3339 =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

  private final Guard.Accepted accepted;
  private final @Nullable String query;
  private final Destination target;
  private final Credentials.Credential credential;
  private final byte[] body;
  private final String timestamp;
  private final String nonce;
  private byte[] signature = NO_BODY;

  private HmacRequest(
      Guard.Accepted accepted,
      Destination target,
      Credentials.Credential credential,
      byte[] body,
      String timestamp,
      String nonce) {
    this.accepted = accepted;
    this.query = HeaderRules.forUpstream(accepted.query());
    this.target = target;
    this.credential = credential;
    this.body = body;
    this.timestamp = timestamp;
    this.nonce = nonce;
  }

  /**
   * Builds and signs the request.
   *
   * @param held the whole body, where {@link UpstreamRequest#needsBody} asked for it
   * @throws RefusedException {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if the credential is not
   *     what the destination says
   */
  static UpstreamRequest rebuild(
      Guard.Accepted accepted,
      Destination target,
      Signing.Hmac signing,
      Credentials.Credential credential,
      byte @Nullable [] held,
      Instant now) {
    byte[] random = new byte[NONCE_BYTES];
    RANDOM.nextBytes(random);
    return new HmacRequest(
            accepted,
            target,
            credential,
            held == null ? NO_BODY : held,
            time(signing.timestamp(), now),
            HexFormat.of().formatHex(random))
        .rebuild(signing);
  }

  private UpstreamRequest rebuild(Signing.Hmac signing) {
    Fields fields = HeaderRules.forUpstream(accepted.fields(), signing.replaced());
    fields.add("Accept-Encoding", "identity");
    signature =
        SigningKey.of(credential, signing.keyEncoding())
            .sign(signing.algorithm(), fill(signing.message()));
    for (Signing.Hmac.Header header : signing.headers()) {
      String value = new String(fill(header.value()), StandardCharsets.UTF_8);
      fields.add(header.header(), UpstreamRequest.headerText(value));
    }
    return new UpstreamRequest(
        accepted.method(),
        UpstreamRequest.uri(accepted, query),
        fields,
        accepted.fields().first("content-length"),
        null);
  }

  private byte[] fill(SignatureTemplate template) {
    ByteArrayOutputStream filled = new ByteArrayOutputStream(256 + body.length);
    for (Part part : template.parts()) {
      filled.writeBytes(
          switch (part) {
            case Part.Literal(String text) -> bytes(text);
            case Part.Field(String name) -> bytes(credential.required(name).reveal());
            case Part.Filled(SignatureTemplate.Place place) -> fill(place);
          });
    }
    return filled.toByteArray();
  }

  private byte[] fill(SignatureTemplate.Place place) {
    return switch (place) {
      case METHOD -> bytes(accepted.method());
      case PATH -> bytes(accepted.path().raw());
      case QUERY -> bytes(query == null ? "" : query);
      case TARGET -> bytes(UpstreamRequest.uri(accepted, query));
      case HOST -> bytes(UpstreamRequest.host(target));
      case TIMESTAMP -> bytes(timestamp);
      case NONCE -> bytes(nonce);
      case BODY -> body;
      case BODY_SHA256_HEX -> hex(Sha256.of(body));
      case BODY_SHA256_BASE64 -> Base64.getEncoder().encode(Sha256.of(body));
      case SIGNATURE_HEX -> hex(signature);
      case SIGNATURE_BASE64 -> Base64.getEncoder().encode(signature);
    };
  }

  private static byte[] hex(byte[] bytes) {
    return bytes(HexFormat.of().formatHex(bytes));
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String time(Signing.Hmac.TimeForm form, Instant now) {
    return switch (form) {
      case SECONDS -> String.valueOf(now.getEpochSecond());
      case MILLISECONDS -> String.valueOf(now.toEpochMilli());
      case RFC3339 -> RFC3339.format(now);
    };
  }
}
