package io.valetkey.broker.gateway;

import java.util.Locale;

/** The ways by which a request can come to a destination. What they ask of the policy is one. */
enum Way {
  /** The destination is a name in the path of our own address. */
  BASE_URL,
  /** Through the forward proxy, with the whole URL as the request target. */
  ABSOLUTE_FORM,
  /** Through the forward proxy, in a CONNECT whose TLS ends here. */
  INTERCEPT,
  /** Through the forward proxy, in a CONNECT whose bytes nobody reads. */
  TUNNEL;

  /** The word that stands in audit records. */
  String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
