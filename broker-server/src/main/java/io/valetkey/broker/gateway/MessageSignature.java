package io.valetkey.broker.gateway;

import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * A request with a signature of the message that is sent, not of the one that came.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9421#section-3.1">RFC 9421 section 3.1</a>
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9530#section-2">RFC 9530 section 2</a>
 */
final class MessageSignature {

  private final Draft draft;

  /** Signs this. */
  MessageSignature(Draft draft) {
    this.draft = draft;
  }

  /**
   * Adds what says what the body is and the signature.
   *
   * @param body the whole body, where {@link UpstreamRequest#needsBody} asked for it
   * @throws RefusedException {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if the credential has no
   *     such key
   */
  static void sign(
      Draft draft,
      Signing.HttpMessage signing,
      Credentials.Credential credential,
      byte[] body,
      Instant now) {
    if (signing.readsBody()) {
      draft.fields().add("Content-Digest", "sha-256=" + binary(Sha256.of(body)));
    }
    new MessageSignature(draft)
        .sign(signing, SigningKey.of(credential, signing.keyEncoding()), now);
  }

  /** Adds {@code Signature-Input} and {@code Signature} to the fields. */
  void sign(Signing.HttpMessage signing, SigningKey key, Instant now) {
    Fields fields = draft.fields();
    List<String> covered =
        signing.components().stream()
            .filter(component -> component.startsWith("@") || fields.has(component))
            .toList();
    String parameters = parameters(signing, covered, now);
    StringBuilder base = new StringBuilder(512);
    for (String component : covered) {
      base.append('"').append(component).append("\": ").append(value(component)).append('\n');
    }
    base.append("\"@signature-params\": ").append(parameters);
    // Fields travel as ISO 8859-1, one byte for each character; the rest is ASCII.
    byte[] signature =
        key.sign(
            Signing.Hmac.Algorithm.SHA256, base.toString().getBytes(StandardCharsets.ISO_8859_1));
    fields.add("Signature-Input", signing.label() + "=" + parameters);
    fields.add("Signature", signing.label() + "=" + binary(signature));
  }

  private static String parameters(Signing.HttpMessage signing, List<String> covered, Instant now) {
    long created = now.getEpochSecond();
    StringBuilder parameters = new StringBuilder(128);
    parameters.append(
        covered.stream()
            .map(component -> '"' + component + '"')
            .collect(Collectors.joining(" ", "(", ")")));
    parameters.append(";created=").append(created);
    if (signing.expires() != null) {
      parameters.append(";expires=").append(created + signing.expires().toSeconds());
    }
    if (signing.keyId() != null) {
      parameters.append(";keyid=\"").append(signing.keyId()).append('"');
    }
    return parameters.toString();
  }

  private String value(String component) {
    String query = draft.query();
    String authority = draft.host().toLowerCase(Locale.ROOT);
    return switch (component) {
      case "@method" -> draft.method();
      case "@authority" -> authority;
      case "@scheme" -> "https";
      case "@target-uri" -> "https://" + authority + draft.target();
      case "@request-target" -> draft.target();
      case "@path" -> draft.path();
      case "@query" -> "?" + (query == null ? "" : query);
      default ->
          draft.fields().all(component).stream()
              .map(String::strip)
              .collect(Collectors.joining(", "));
    };
  }

  /** A byte sequence of RFC 8941 section 3.3.5. */
  private static String binary(byte[] bytes) {
    return ":" + Base64.getEncoder().encodeToString(bytes) + ":";
  }
}
