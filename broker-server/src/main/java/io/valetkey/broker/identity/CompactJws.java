package io.valetkey.broker.identity;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSVerifier;
import com.nimbusds.jose.util.Base64URL;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One JWS in compact serialisation (RFC 7515 section 7.1) whose spelling is the only one its
 * content has. Libraries accept several spellings of one signature; whatever is keyed by the text
 * of a token must have come through here first.
 *
 * <p>It is not verified: what it says is a claim of whoever sent it.
 */
public final class CompactJws {

  /** The longest text that is looked at, in characters. */
  public static final int MAX_LENGTH = 16 * 1024;

  private final Parts parts;
  private final Map<String, @Nullable Object> header;
  private final Map<String, @Nullable Object> payload;
  private final String alg;

  private CompactJws(
      Parts parts,
      Map<String, @Nullable Object> header,
      Map<String, @Nullable Object> payload,
      String alg) {
    this.parts = parts;
    this.header = header;
    this.payload = payload;
    this.alg = alg;
  }

  /**
   * Reads the three parts; header and payload must be JSON objects without repeated members.
   *
   * @throws RefusedException {@link ProblemCode#TOKEN_MALFORMED} for anything else
   */
  public static CompactJws parse(String text) {
    Parts parts = Parts.of(text);
    Map<String, @Nullable Object> header = object(parts.header());
    if (!(header.get("alg") instanceof String alg)) {
      throw malformed("the header names no algorithm");
    }
    requireStringIfPresent(header, "kid");
    requireStringIfPresent(header, "typ");
    return new CompactJws(parts, header, object(parts.payload()), alg);
  }

  /**
   * Checks the spelling alone, without decoding anything.
   *
   * @throws RefusedException {@link ProblemCode#TOKEN_MALFORMED} if it is not canonical
   */
  static void requireSpelling(String text) {
    Parts.dots(text);
  }

  private static Map<String, @Nullable Object> object(byte[] json) {
    try {
      return StrictJson.object(json);
    } catch (IllegalArgumentException e) {
      throw malformed("header or payload: " + e.getMessage());
    }
  }

  private static void requireStringIfPresent(Map<String, @Nullable Object> header, String name) {
    if (header.containsKey(name) && !(header.get(name) instanceof String)) {
      throw malformed("a header parameter has the wrong type");
    }
  }

  private static RefusedException malformed(String detail) {
    return new RefusedException(ProblemCode.TOKEN_MALFORMED, detail);
  }

  /** The header's members, unmodifiable. */
  public Map<String, @Nullable Object> header() {
    return header;
  }

  /** The payload's members, unmodifiable. */
  public Map<String, @Nullable Object> payload() {
    return payload;
  }

  /** The header's {@code alg}. */
  public String alg() {
    return alg;
  }

  /** The header's {@code kid}, if any. */
  public @Nullable String kid() {
    return (String) header.get("kid");
  }

  /** The header's {@code typ}, if any, as it was sent. */
  public @Nullable String typ() {
    return (String) header.get("typ");
  }

  /** The bytes that were signed (RFC 7515 section 5.1). */
  public byte[] signingInput() {
    return parts.signingInput().getBytes(StandardCharsets.US_ASCII);
  }

  /** The signature's bytes. */
  public byte[] signature() {
    return Base64.getUrlDecoder().decode(parts.signature());
  }

  /**
   * Whether the signature fits. The verifier sees the algorithm alone, never the token's own
   * header; whoever calls this has already refused header parameters that change the meaning
   * ({@code crit}, {@code b64}).
   */
  public boolean signedBy(JWSVerifier verifier) {
    return parts.signedBy(verifier, JWSAlgorithm.parse(alg));
  }

  /** The three parts as they were spelled, known to be canonical base64url. */
  record Parts(String signingInput, String headerText, String payloadText, String signature) {

    static Parts of(String text) {
      long dots = dots(text);
      int first = (int) (dots >>> 32);
      int second = (int) dots;
      return new Parts(
          text.substring(0, second),
          text.substring(0, first),
          text.substring(first + 1, second),
          text.substring(second + 1));
    }

    /** Where the two dots are: the first in the upper half, the second in the lower. */
    private static long dots(String text) {
      if (text.length() > MAX_LENGTH) {
        throw malformed("longer than " + MAX_LENGTH + " characters");
      }
      int first = text.indexOf('.');
      int second = text.indexOf('.', first + 1);
      if (first < 0 || second < 0 || text.indexOf('.', second + 1) >= 0) {
        throw malformed("not three parts");
      }
      if (!Base64Url.canonical(text, 0, first)
          || !Base64Url.canonical(text, first + 1, second)
          || !Base64Url.canonical(text, second + 1, text.length())) {
        throw malformed("a part is empty or not canonical base64url");
      }
      return ((long) first << 32) | second;
    }

    byte[] header() {
      return Base64.getUrlDecoder().decode(headerText);
    }

    byte[] payload() {
      return Base64.getUrlDecoder().decode(payloadText);
    }

    boolean signedBy(JWSVerifier verifier, JWSAlgorithm algorithm) {
      try {
        return verifier.verify(
            new JWSHeader(algorithm),
            signingInput.getBytes(StandardCharsets.US_ASCII),
            new Base64URL(signature));
      } catch (JOSEException | IllegalArgumentException e) {
        return false; // a signature that cannot be read is one that does not fit
      }
    }
  }
}
