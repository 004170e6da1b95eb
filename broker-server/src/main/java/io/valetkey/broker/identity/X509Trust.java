package io.valetkey.broker.identity;

import java.time.Duration;

/** How the X.509-SVIDs of a trust domain are believed. */
public sealed interface X509Trust {

  /** The most that the whole life of a certificate may be, from {@code notBefore} on. */
  Duration maxAge();

  /** Signed, over any intermediates, by one of these: nothing is ever fetched. */
  record Inline(X509Authorities authorities, Duration maxAge) implements X509Trust {}

  /**
   * Signed by one of the authorities that the SPIFFE bundle has beside its JWT keys (SPIFFE Trust
   * Domain and Bundle, section 4.2.2); the issuer's keys come from a {@link
   * KeySource.SpiffeBundle}.
   */
  record OfBundle(Duration maxAge) implements X509Trust {}
}
