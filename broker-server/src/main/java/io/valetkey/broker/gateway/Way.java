package io.valetkey.broker.gateway;

import java.util.Locale;

/** The ways by which a request can come to a destination. What they ask of the policy is one. */
enum Way {
  /** The destination is a name in the path of our own address. */
  BASE_URL,
  /** The destination is the first label of the {@code Host}, below a suffix of ours. */
  HOST,
  /** Through the forward proxy, with the whole URL as the request target. */
  ABSOLUTE_FORM,
  /** Through the forward proxy, in a CONNECT whose TLS ends here. */
  INTERCEPT,
  /** Through the forward proxy, in a CONNECT whose bytes nobody reads. */
  TUNNEL;

  /** Whether the caller names a destination, by an address of ours, and not an upstream. */
  boolean namesDestination() {
    return this == BASE_URL || this == HOST;
  }

  /** The word that stands in audit records. */
  String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
