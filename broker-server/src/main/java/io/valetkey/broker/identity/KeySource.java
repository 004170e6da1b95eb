package io.valetkey.broker.identity;

import com.nimbusds.jose.jwk.JWKSet;
import java.net.URI;

/** Where an issuer's keys come from. */
public sealed interface KeySource {

  /** The keys themselves: nothing is ever fetched. */
  record Inline(JWKSet keys) implements KeySource {}

  /** A pinned place with a JWK Set (RFC 7517 section 5). */
  record JwksUri(URI uri, Tls tls) implements KeySource {}

  /**
   * The issuer's discovery document names the place; its {@code issuer} must be exactly this one
   * (OpenID Connect Discovery section 4.3).
   */
  record Discovery(URI issuer, Tls tls) implements KeySource {}

  /** A SPIFFE bundle endpoint, Web PKI profile (SPIFFE Trust Domain and Bundle, section 4). */
  record SpiffeBundle(URI uri, Tls tls) implements KeySource {}
}
