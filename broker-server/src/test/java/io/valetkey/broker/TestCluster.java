package io.valetkey.broker;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.time.Instant;
import java.util.Date;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A cluster's token issuer with a real key: ServiceAccount tokens as an API server writes them, and
 * whatever else a test signs with the key.
 */
public final class TestCluster {

  private final String name;
  private final ECKey key;

  public TestCluster(String name) {
    this.name = name;
    try {
      this.key = new ECKeyGenerator(Curve.P_256).keyID(UUID.randomUUID().toString()).generate();
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
  }

  public String name() {
    return name;
  }

  public String issuer() {
    return "https://" + name + ".test";
  }

  /** The issuer as the admin API takes it. */
  public String spec(String type) {
    return "{\"type\":\"%s\",\"issuer\":\"%s\",\"keys\":{\"jwks\":{\"keys\":[%s]}}}"
        .formatted(type, issuer(), key.toPublicJWK().toJSONString());
  }

  public static String subject(String namespace, String account) {
    return "system:serviceaccount:" + namespace + ":" + account;
  }

  /** A token that is bound to a pod, or to nothing if there is no pod. */
  public String token(
      String namespace, String account, String audience, @Nullable String pod, String podUid) {
    Instant now = Instant.now();
    Map<String, Object> kubernetes = new java.util.LinkedHashMap<>();
    kubernetes.put("namespace", namespace);
    kubernetes.put("serviceaccount", Map.of("name", account, "uid", UUID.randomUUID().toString()));
    if (pod != null) {
      kubernetes.put("pod", Map.of("name", pod, "uid", podUid));
    }
    return sign(
        null,
        new JWTClaimsSet.Builder()
            .issuer(issuer())
            .subject(subject(namespace, account))
            .audience(audience)
            .issueTime(Date.from(now))
            .expirationTime(Date.from(now.plusSeconds(600)))
            .jwtID(UUID.randomUUID().toString())
            .claim("kubernetes.io", kubernetes)
            .build());
  }

  /** Anything, signed. */
  public String sign(@Nullable String type, JWTClaimsSet claims) {
    try {
      var header = new JWSHeader.Builder(JWSAlgorithm.ES256).keyID(key.getKeyID());
      if (type != null) {
        header.type(new JOSEObjectType(type));
      }
      var jwt = new SignedJWT(header.build(), claims);
      jwt.sign(new ECDSASigner(key));
      return jwt.serialize();
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
  }
}
