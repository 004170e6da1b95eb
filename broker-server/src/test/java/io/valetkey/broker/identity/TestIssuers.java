package io.valetkey.broker.identity;

import com.nimbusds.jose.jwk.JWKSet;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** Registered issuers of a test, by key. */
final class TestIssuers implements TrustedIssuers {

  private static final AtomicLong GENERATION = new AtomicLong();

  final Map<String, TrustedIssuer> byKey = new ConcurrentHashMap<>();

  static TrustedIssuer issuer(TrustedIssuer.Type type, String key, KeySource keys) {
    return issuer(type, key, keys, false, null, true);
  }

  static TrustedIssuer issuer(
      TrustedIssuer.Type type,
      String key,
      KeySource keys,
      boolean once,
      TrustedIssuer.@Nullable Review review,
      boolean enabled) {
    return new TrustedIssuer(
        "issuer-" + key.hashCode(),
        type,
        key,
        keys,
        Set.of("ES256"),
        Duration.ofHours(1),
        once,
        review,
        null,
        enabled,
        GENERATION.incrementAndGet());
  }

  static KeySource inline(TestIssuer issuer) {
    return new KeySource.Inline(new JWKSet(issuer.key.toPublicJWK()));
  }

  TestIssuers with(TrustedIssuer issuer) {
    byKey.put(issuer.key(), issuer);
    return this;
  }

  @Override
  public @Nullable TrustedIssuer byIssuer(String iss) {
    TrustedIssuer found = byKey.get(iss);
    return found == null || found.type() == TrustedIssuer.Type.SPIFFE ? null : found;
  }

  @Override
  public @Nullable TrustedIssuer byTrustDomain(String domain) {
    TrustedIssuer found = byKey.get(domain);
    return found != null && found.type() == TrustedIssuer.Type.SPIFFE ? found : null;
  }
}
