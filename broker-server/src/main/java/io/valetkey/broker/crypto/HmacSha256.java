package io.valetkey.broker.crypto;

import java.nio.charset.StandardCharsets;

/** HMAC with SHA-256 (RFC 2104), which every Java has. */
public final class HmacSha256 {

  private HmacSha256() {}

  /**
   * The 32 bytes of this text in UTF-8 under a key.
   *
   * @throws IllegalArgumentException if the key is empty
   */
  public static byte[] of(byte[] key, String text) {
    return Hmac.of("HmacSHA256", key, text.getBytes(StandardCharsets.UTF_8));
  }
}
