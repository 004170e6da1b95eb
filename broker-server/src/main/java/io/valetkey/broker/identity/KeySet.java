package io.valetkey.broker.identity;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSVerifier;
import com.nimbusds.jose.jwk.JWK;
import io.valetkey.broker.crypto.CryptoProvider;
import java.text.ParseException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The keys of one issuer that can really verify something. A key that is meant for another use or
 * another algorithm, is symmetric, weak, malformed, or gives its private half away, is not in it.
 */
final class KeySet {

  private static final List<String> PRIVATE_MEMBERS =
      List.of("d", "p", "q", "dp", "dq", "qi", "oth", "k");
  private static final List<String> PUBLIC_MEMBERS = List.of("kty", "crv", "x", "y", "n", "e");
  private static final Map<String, Integer> COORDINATE_LENGTHS =
      Map.of("P-256", 43, "P-384", 64, "P-521", 88, "Ed25519", 43);

  private final List<Entry> entries;

  private KeySet(List<Entry> entries) {
    this.entries = List.copyOf(entries);
  }

  private record Entry(
      @Nullable String kid, String thumbprint, Map<String, JWSVerifier> verifiers) {

    /** What the key is, without the verifiers, which are never equal. */
    List<Object> identity() {
      return List.of(String.valueOf(kid), thumbprint, verifiers.keySet());
    }
  }

  /**
   * Reads a JWK Set (RFC 7517 section 5) and keeps what is usable.
   *
   * @param uses the values of {@code use} that count; a null in it means that it may be absent
   * @throws IllegalArgumentException if it is not a JWK Set
   */
  static KeySet of(
      Map<String, ? extends @Nullable Object> jwks,
      Set<@Nullable String> uses,
      Set<String> algorithms,
      CryptoProvider crypto) {
    if (!(jwks.get("keys") instanceof List<?> keys)) {
      throw new IllegalArgumentException("not a JWK Set");
    }
    List<Entry> entries = new ArrayList<>();
    for (Object key : keys) {
      if (key instanceof Map<?, ?> jwk && meantForUs(jwk, uses)) {
        Entry entry = entry(jwk, algorithms, crypto);
        if (entry != null) {
          entries.add(entry);
        }
      }
    }
    return new KeySet(entries);
  }

  private static boolean meantForUs(Map<?, ?> jwk, Set<@Nullable String> uses) {
    Object use = jwk.get("use");
    boolean operations =
        !jwk.containsKey("key_ops")
            || (jwk.get("key_ops") instanceof List<?> list && list.contains("verify"));
    return (use == null || use instanceof String)
        && uses.contains((String) use)
        && operations
        && PRIVATE_MEMBERS.stream().noneMatch(jwk::containsKey);
  }

  private static @Nullable Entry entry(
      Map<?, ?> jwk, Set<String> algorithms, CryptoProvider crypto) {
    Object kid = jwk.get("kid");
    Object alg = jwk.get("alg");
    if ((kid != null && !(kid instanceof String)) || (alg != null && !(alg instanceof String))) {
      return null;
    }
    try {
      JWK key = publicKey(jwk);
      Map<String, JWSVerifier> verifiers = new LinkedHashMap<>();
      for (String algorithm : algorithms) {
        if (alg == null || alg.equals(algorithm)) {
          verifier(key, algorithm, crypto, verifiers);
        }
      }
      return verifiers.isEmpty()
          ? null
          : new Entry((String) kid, key.computeThumbprint().toString(), Map.copyOf(verifiers));
    } catch (ParseException | JOSEException | RuntimeException e) {
      return null; // one bad key does not spoil the others
    }
  }

  private static void verifier(
      JWK key, String algorithm, CryptoProvider crypto, Map<String, JWSVerifier> verifiers) {
    try {
      verifiers.put(algorithm, crypto.verifier(key, JWSAlgorithm.parse(algorithm)));
    } catch (JOSEException e) {
      // It does not fit this algorithm; it may fit another.
    }
  }

  /** Only the members that make the key, each in its one spelling (RFC 7518 section 6). */
  private static JWK publicKey(Map<?, ?> jwk) throws ParseException {
    Map<String, Object> members = new LinkedHashMap<>();
    for (String name : PUBLIC_MEMBERS) {
      if (jwk.get(name) instanceof String text) {
        boolean number = !name.equals("kty") && !name.equals("crv");
        if (number && !Base64Url.canonical(text)) {
          throw new ParseException("not canonical base64url", 0);
        }
        members.put(name, text);
      }
    }
    Integer length = COORDINATE_LENGTHS.get(String.valueOf(members.get("crv")));
    for (String coordinate : List.of("x", "y")) {
      if (members.get(coordinate) instanceof String text
          && !Objects.equals(length, text.length())) {
        throw new ParseException("a coordinate has the wrong length", 0);
      }
    }
    return JWK.parse(members);
  }

  /**
   * The verifier that may fit: that of the named key; without a name that of the only one there is
   * (OpenID Connect Core section 10.1). Two different keys under one name are none: a set that does
   * not say which key is meant (RFC 7517 section 4.5) is not guessed at.
   */
  @Nullable JWSVerifier candidate(@Nullable String kid, String algorithm) {
    Entry found = null;
    for (Entry entry : entries) {
      if (entry.verifiers().containsKey(algorithm) && (kid == null || kid.equals(entry.kid()))) {
        if (found != null && !found.thumbprint().equals(entry.thumbprint())) {
          return null;
        }
        found = entry;
      }
    }
    return found == null ? null : found.verifiers().get(algorithm);
  }

  boolean isEmpty() {
    return entries.isEmpty();
  }

  /** Whether both sets hold the same keys for the same algorithms. */
  boolean sameKeys(KeySet that) {
    Set<Object> mine = new HashSet<>();
    entries.forEach(entry -> mine.add(entry.identity()));
    Set<Object> others = new HashSet<>();
    that.entries.forEach(entry -> others.add(entry.identity()));
    return mine.equals(others);
  }
}
