package io.valetkey.broker.console;

import io.valetkey.broker.crypto.HmacSha256;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Secrets that follow from another, so that nobody has to keep them. */
final class Derived {

  private Derived() {}

  /** 256 bits in base64url: the HMAC of the purpose under a secret that is as long. */
  static String from(String secret, String purpose) {
    byte[] derived = HmacSha256.of(secret.getBytes(StandardCharsets.US_ASCII), purpose);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(derived);
  }
}
