package io.valetkey.broker.crypto;

import java.security.GeneralSecurityException;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** HMAC (RFC 2104). */
public final class Hmac {

  private Hmac() {}

  /**
   * The authentication code of a message under a key.
   *
   * @param algorithm Java's name of one that every Java has, such as {@code HmacSHA256}
   * @throws IllegalArgumentException if the key is empty
   */
  public static byte[] of(String algorithm, byte[] key, byte[] message) {
    try {
      Mac mac = Mac.getInstance(algorithm);
      mac.init(new SecretKeySpec(key, algorithm));
      return mac.doFinal(message);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every Java has " + algorithm, e);
    }
  }
}
