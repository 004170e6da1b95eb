package io.valetkey.broker.upstream;

import java.util.regex.Pattern;

/**
 * Names and paths in Vault that mean themselves when they stand in a URL.
 *
 * <p>The set is narrow on purpose: no percent sign, question mark, brace, dot segment or empty
 * segment, so that a reference can never address anything but a secret below its own mount.
 */
final class VaultPath {

  private static final Pattern SEGMENT =
      Pattern.compile("(?!\\.{1,2}(/|$))[A-Za-z0-9._@:+=-]{1,255}");
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._@:+=-]{1,255}");

  private VaultPath() {}

  static boolean isPath(String path) {
    for (String segment : path.split("/", -1)) {
      if (!SEGMENT.matcher(segment).matches()) {
        return false;
      }
    }
    return path.length() <= 1024;
  }

  static void requirePath(String what, String path) {
    if (!isPath(path)) {
      throw new IllegalArgumentException(what + " is not a plain Vault path");
    }
  }

  static void requireName(String what, String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(what + " is not a plain Vault name");
    }
  }
}
