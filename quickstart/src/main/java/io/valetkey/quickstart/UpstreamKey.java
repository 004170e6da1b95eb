package io.valetkey.quickstart;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import org.jspecify.annotations.Nullable;

/** The real credential of the demo upstream. Prints itself masked. */
final class UpstreamKey {

  private static final int SHOWN = 3;

  private final String value;

  private UpstreamKey(String value) {
    this.value = value;
  }

  static UpstreamKey random() {
    return new UpstreamKey("sk-" + RandomText.next());
  }

  /** The value, for the place where it is kept and for nobody else. */
  String reveal() {
    return value;
  }

  boolean isIn(@Nullable String authorization) {
    return authorization != null
        && MessageDigest.isEqual(
            authorization.getBytes(StandardCharsets.UTF_8),
            ("Bearer " + value).getBytes(StandardCharsets.UTF_8));
  }

  /** The first characters of whatever came as a credential. */
  static String masked(@Nullable String authorization) {
    if (authorization == null) {
      return "none";
    }
    String credential = authorization.substring(authorization.indexOf(' ') + 1);
    return credential.substring(0, Math.min(SHOWN, credential.length())) + "…";
  }

  @Override
  public String toString() {
    return masked(value);
  }
}
