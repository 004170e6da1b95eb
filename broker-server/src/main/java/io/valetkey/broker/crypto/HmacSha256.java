package io.valetkey.broker.crypto;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** HMAC with SHA-256 (RFC 2104), which every Java has. */
public final class HmacSha256 {

  private static final String NAME = "HmacSHA256";

  private HmacSha256() {}

  /**
   * The 32 bytes of this text in UTF-8 under a key.
   *
   * @throws IllegalArgumentException if the key is empty
   */
  public static byte[] of(byte[] key, String text) {
    try {
      Mac mac = Mac.getInstance(NAME);
      mac.init(new SecretKeySpec(key, NAME));
      return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every Java has " + NAME, e);
    }
  }
}
