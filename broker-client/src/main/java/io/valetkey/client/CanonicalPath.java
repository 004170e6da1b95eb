package io.valetkey.client;

import java.util.Locale;

/**
 * The one canonical form of a path, as the gateway demands it. What is written otherwise could mean
 * another destination to some proxy on the way, so it never gets a token.
 */
final class CanonicalPath {
  private CanonicalPath() {}

  /** For a raw (still percent-encoded) path: empty, or beginning with a slash. */
  static boolean is(String rawPath) {
    if (rawPath.isEmpty()) {
      return true;
    }
    if (rawPath.charAt(0) != '/' || rawPath.contains("//") || rawPath.indexOf('\\') >= 0) {
      return false;
    }
    String lower = rawPath.toLowerCase(Locale.ROOT);
    for (String refused : new String[] {"%2e", "%2f", "%5c", "%25", "%00", ";"}) {
      if (lower.contains(refused)) {
        return false;
      }
    }
    for (String segment : lower.split("/", -1)) {
      if (segment.equals(".") || segment.equals("..")) {
        return false;
      }
    }
    return true;
  }
}
