package io.valetkey.broker.gateway;

import io.valetkey.broker.crypto.Hmac;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;

/** The key of an HMAC, which signs and goes nowhere. */
final class SigningKey {

  private final byte[] bytes;

  private SigningKey(byte[] bytes) {
    this.bytes = bytes;
  }

  /**
   * The key of a credential.
   *
   * @throws RefusedException {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if it has none, or one that
   *     is not written like this
   */
  static SigningKey of(Credentials.Credential credential, Signing.KeyEncoding encoding) {
    String text = credential.required(Signing.SIGNING_KEY).reveal();
    byte[] bytes;
    try {
      bytes =
          switch (encoding) {
            case TEXT -> text.getBytes(StandardCharsets.UTF_8);
            case BASE64 -> Base64.getDecoder().decode(text);
            case HEX -> HexFormat.of().parseHex(text);
          };
    } catch (IllegalArgumentException _) {
      // The cause would quote the key.
      throw unusable("is not written as its destination says");
    }
    if (bytes.length == 0) {
      throw unusable("is empty");
    }
    return new SigningKey(bytes);
  }

  byte[] sign(Signing.Hmac.Algorithm algorithm, byte[] message) {
    return Hmac.of(algorithm.standardName(), bytes, message);
  }

  private static RefusedException unusable(String why) {
    return new RefusedException(
        ProblemCode.CREDENTIAL_UNAVAILABLE, "the " + Signing.SIGNING_KEY + " " + why);
  }
}
