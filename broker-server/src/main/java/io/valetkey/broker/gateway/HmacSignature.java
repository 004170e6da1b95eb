package io.valetkey.broker.gateway;

import io.valetkey.broker.crypto.Sha256;
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
import java.util.Objects;

/**
 * A signature as the provider laid it down, by templates. What the caller sent in the headers that
 * are filled is dropped.
 */
final class HmacSignature {

  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int NONCE_BYTES = 16;
  private static final DateTimeFormatter RFC3339 =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

  private final Draft draft;
  private final Credentials.Credential credential;
  private final byte[] body;
  private final String timestamp;
  private final String nonce;
  private byte[] signature = new byte[0];

  private HmacSignature(
      Draft draft, Credentials.Credential credential, byte[] body, String timestamp, String nonce) {
    this.draft = draft;
    this.credential = credential;
    this.body = body;
    this.timestamp = timestamp;
    this.nonce = nonce;
  }

  /**
   * Adds the headers that hold the signature and what belongs to it.
   *
   * @param body the whole body, where {@link UpstreamRequest#needsBody} asked for it
   * @throws RefusedException {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if the credential is not
   *     what the destination says
   */
  static void sign(
      Draft draft,
      Signing.Hmac signing,
      Credentials.Credential credential,
      byte[] body,
      Instant now) {
    byte[] random = new byte[NONCE_BYTES];
    RANDOM.nextBytes(random);
    new HmacSignature(
            draft,
            credential,
            body,
            time(signing.timestamp(), now),
            HexFormat.of().formatHex(random))
        .sign(signing);
  }

  private void sign(Signing.Hmac signing) {
    signature =
        SigningKey.of(credential, signing.keyEncoding())
            .sign(signing.algorithm(), fill(signing.message()));
    for (Signing.Hmac.Header header : signing.headers()) {
      String value = new String(fill(header.value()), StandardCharsets.UTF_8);
      draft.fields().add(header.header(), UpstreamRequest.headerText(value));
    }
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
      case METHOD -> bytes(draft.method());
      case PATH -> bytes(draft.path());
      case QUERY -> bytes(Objects.requireNonNullElse(draft.query(), ""));
      case TARGET -> bytes(draft.target());
      case HOST -> bytes(draft.host());
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
