package io.valetkey.broker.policy;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.OctetKeyPair;
import com.nimbusds.jose.jwk.RSAKey;
import java.text.ParseException;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What an inline key set (RFC 7517) may hold: public halves of asymmetric keys. */
final class PublicKeys {

  private static final Set<String> PRIVATE_MEMBERS =
      Set.of("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv");
  private static final Set<Curve> CURVES =
      Set.of(Curve.P_256, Curve.P_384, Curve.P_521, Curve.Ed25519);
  private static final int MOST_KEYS = 100;
  private static final int LEAST_RSA_BITS = 2048;

  private PublicKeys() {}

  static void check(String pointer, Map<String, Object> jwks, Errors errors) {
    if (!(jwks.get("keys") instanceof List<?> keys) || keys.isEmpty()) {
      errors.invalid(pointer + "/keys", "must be a list of at least one key");
      return;
    }
    if (keys.size() > MOST_KEYS) {
      errors.invalid(pointer + "/keys", "must be at most " + MOST_KEYS + " keys");
      return;
    }
    Map<Object, Object> named = new HashMap<>();
    for (int i = 0; i < keys.size(); i++) {
      String problem =
          keys.get(i) instanceof Map<?, ?> key ? problem(key, named) : "must be a JSON Web Key";
      if (!problem.isEmpty()) {
        errors.invalid(pointer + "/keys/" + i, problem);
      }
    }
  }

  /** Answers in fixed sentences: what stands in a key that should not be here is never repeated. */
  private static String problem(Map<?, ?> key, Map<Object, Object> named) {
    if (!Collections.disjoint(key.keySet(), PRIVATE_MEMBERS) || "oct".equals(key.get("kty"))) {
      return "is a private or symmetric key: give the public half only, and replace the key, because"
          + " it has been sent over the network";
    }
    Object kid = key.get("kid");
    Object other = kid == null ? null : named.putIfAbsent(kid, key);
    if (other != null && !other.equals(key)) {
      return "has the kid of another key, so no token could say which one it means";
    }
    Map<String, Object> members = new HashMap<>();
    key.forEach((name, value) -> members.put(String.valueOf(name), value));
    try {
      return switch (JWK.parse(members)) {
        case RSAKey rsa when rsa.size() < LEAST_RSA_BITS ->
            "must be an RSA key of 2048 bits or more";
        case RSAKey rsa -> usable(rsa.toRSAPublicKey() != null);
        case ECKey ec -> usable(CURVES.contains(ec.getCurve()) && ec.toECPublicKey() != null);
        case OctetKeyPair okp -> usable(CURVES.contains(okp.getCurve()));
        default -> usable(false);
      };
    } catch (ParseException | JOSEException | RuntimeException e) {
      return "is not a readable JSON Web Key";
    }
  }

  private static String usable(boolean usable) {
    return usable ? "" : "must be an RSA key, an EC key on P-256, P-384 or P-521, or Ed25519";
  }
}
