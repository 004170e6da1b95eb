package io.valetkey.broker.policy;

import com.github.benmanes.caffeine.cache.Interner;
import io.valetkey.broker.limit.Caps;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;

/**
 * A grant as the decision uses it. There may be a million of them: what many have in common is one
 * object, and the name is kept as its bytes.
 */
public final class Grant {

  private static final Interner<Terms> COMMON = Interner.newWeakInterner();

  private final byte[] name;
  private final Terms terms;

  private record Terms(
      String destination,
      List<String> scopes,
      int requestsPerMinute,
      Caps caps,
      long expiresAtSecond) {}

  private Grant(String name, Terms terms) {
    this.name = name.getBytes(StandardCharsets.ISO_8859_1); // names are ASCII
    this.terms = terms;
  }

  static Grant compile(String name, GrantSpec spec) {
    GrantSpec.Limits limits = spec.limits();
    Integer perMinute = limits == null ? null : limits.requestsPerMinute();
    Instant end = spec.expiresAt();
    Terms terms =
        new Terms(
            spec.destination().intern(),
            List.copyOf(spec.scopes().stream().map(String::intern).toList()),
            perMinute == null ? 0 : perMinute,
            limits == null ? Caps.NONE : limits.caps(),
            end == null ? Long.MAX_VALUE : end.getEpochSecond());
    return new Grant(name, COMMON.intern(terms));
  }

  /** Its name. */
  public String name() {
    return new String(name, StandardCharsets.ISO_8859_1);
  }

  /** The destination's name. */
  public String destination() {
    return terms.destination();
  }

  /** The names of the granted scopes. */
  public List<String> scopes() {
    return terms.scopes();
  }

  /** How many requests a minute it allows through all gateways together; 0 for no limit. */
  public int requestsPerMinute() {
    return terms.requestsPerMinute();
  }

  /** What else it bounds, over all gateways together. */
  public Caps caps() {
    return terms.caps();
  }

  /** When it ends, in seconds since the epoch; {@link Long#MAX_VALUE} for never. */
  public long expiresAtSecond() {
    return terms.expiresAtSecond();
  }

  /** Whether it has ended at this time. */
  public boolean expiredAt(Instant time) {
    return time.getEpochSecond() >= terms.expiresAtSecond();
  }
}
