package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.CryptoProvider;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads an issuer's keys from where its registration says, and from nowhere else. */
final class KeyFetch {

  /** How old keys may become before they are read again, unless a SPIFFE bundle says otherwise. */
  static final Duration REFRESH_AFTER = Duration.ofMinutes(5);

  private static final Duration SOONEST_HINT = Duration.ofSeconds(30);
  private static final Set<@Nullable String> SIGNATURES = anyOf(null, "sig");
  private static final Set<@Nullable String> JWT_SVIDS = anyOf("jwt-svid");

  private final BoundedHttp http;
  private final CryptoProvider crypto;

  KeyFetch(BoundedHttp http, CryptoProvider crypto) {
    this.http = http;
    this.crypto = crypto;
  }

  /** Keys, authorities where the issuer has them from its bundle, and when to look again. */
  record Fetched(KeySet keys, X509Authorities authorities, Duration refreshAfter) {}

  /**
   * Reads the keys, blocking.
   *
   * @throws IOException if there is no answer, or one that holds no usable key
   */
  Fetched fetch(TrustedIssuer issuer) throws IOException {
    return switch (issuer.keys()) {
      case KeySource.Inline inline ->
          new Fetched(inline(issuer, inline), X509Authorities.NONE, REFRESH_AFTER);
      case KeySource.JwksUri jwks -> remote(issuer, jwks.uri(), jwks.tls());
      case KeySource.Discovery discovery ->
          remote(
              issuer, DiscoveryDocument.read(http, discovery).address("jwks_uri"), discovery.tls());
      case KeySource.SpiffeBundle bundle -> remote(issuer, bundle.uri(), bundle.tls());
    };
  }

  /** Keys that the registration itself holds. */
  KeySet inline(TrustedIssuer issuer, KeySource.Inline source) {
    // Private members must still be there to be noticed, hence "false": not the public half only.
    return KeySet.of(source.keys().toJSONObject(false), uses(issuer), issuer.algorithms(), crypto);
  }

  private Fetched remote(TrustedIssuer issuer, URI uri, Tls tls) throws IOException {
    Map<String, @Nullable Object> document = http.document(uri, tls);
    KeySet keys;
    try {
      keys = KeySet.of(document, uses(issuer), issuer.algorithms(), crypto);
    } catch (IllegalArgumentException e) {
      throw new IOException("the answer is not a key set", e);
    }
    X509Authorities authorities =
        issuer.x509() instanceof X509Trust.OfBundle
            ? X509Authorities.ofBundle(document)
            : X509Authorities.NONE;
    if (keys.isEmpty() && authorities.isEmpty()) {
      throw new IOException("the key set has no usable key");
    }
    return new Fetched(keys, authorities, refreshAfter(document));
  }

  private static Set<@Nullable String> uses(TrustedIssuer issuer) {
    return issuer.type() == TrustedIssuer.Type.SPIFFE ? JWT_SVIDS : SIGNATURES;
  }

  /** SPIFFE Trust Domain and Bundle, section 4.1: how often a consumer should look. */
  private static Duration refreshAfter(Map<String, @Nullable Object> document) {
    if (!(document.get("spiffe_refresh_hint") instanceof Integer seconds)) {
      return REFRESH_AFTER;
    }
    Duration hint = Duration.ofSeconds(seconds);
    if (hint.compareTo(SOONEST_HINT) < 0) {
      return SOONEST_HINT;
    }
    return hint.compareTo(REFRESH_AFTER) > 0 ? REFRESH_AFTER : hint;
  }

  @SuppressWarnings("NullAway") // a set with a null in it: "use" may be absent
  private static Set<@Nullable String> anyOf(@Nullable String... uses) {
    return new HashSet<>(Arrays.asList(uses));
  }
}
