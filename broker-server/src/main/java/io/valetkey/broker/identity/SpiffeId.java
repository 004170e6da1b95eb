package io.valetkey.broker.identity;

import org.jspecify.annotations.Nullable;

/** The syntax of SPIFFE IDs (SPIFFE-ID section 2). */
final class SpiffeId {

  private static final String SCHEME = "spiffe://";
  private static final int LONGEST_TRUST_DOMAIN = 255;

  private SpiffeId() {}

  /** The trust domain that the subject claims to be of; null if it does not look like one. */
  static @Nullable String trustDomain(String subject) {
    if (!subject.startsWith(SCHEME)) {
      return null;
    }
    int slash = subject.indexOf('/', SCHEME.length());
    String domain = subject.substring(SCHEME.length(), slash < 0 ? subject.length() : slash);
    boolean valid =
        !domain.isEmpty()
            && domain.length() <= LONGEST_TRUST_DOMAIN
            && domain.chars().allMatch(c -> lowerCaseOrDigit(c) || "._-".indexOf(c) >= 0);
    return valid ? domain : null;
  }

  /** Whether the subject is the ID of a workload: a trust domain and a path, both well-formed. */
  static boolean isWorkload(String subject) {
    String domain = trustDomain(subject);
    if (domain == null) {
      return false;
    }
    String path = subject.substring(SCHEME.length() + domain.length());
    if (path.isEmpty()) {
      return false;
    }
    for (String segment : path.substring(1).split("/", -1)) {
      if (segment.isEmpty()
          || segment.equals(".")
          || segment.equals("..")
          || !segment
              .chars()
              .allMatch(
                  c -> lowerCaseOrDigit(c) || (c >= 'A' && c <= 'Z') || "._-".indexOf(c) >= 0)) {
        return false;
      }
    }
    return true;
  }

  private static boolean lowerCaseOrDigit(int c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  }
}
