package io.valetkey.quickstart;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.Map;
import java.util.UUID;

/**
 * Stands for the platform that vouches for its workloads: signs who the demo agent is, and keeps a
 * token that is still good in a file, as a cluster does with a projected ServiceAccount token.
 */
final class DemoIssuer implements AutoCloseable {

  static final String URL = "https://demo-issuer.test";
  static final String SUBJECT = "demo-agent";

  private static final Duration LIFE = Duration.ofMinutes(15);
  private static final Duration RENEWAL = Duration.ofMinutes(5);
  private static final String FILE = "identity-token";

  private final PrivateFolder folder;
  private final String audience;
  private final ECKey key;
  private final Thread renewal;

  private DemoIssuer(PrivateFolder folder, String audience) {
    this.folder = folder;
    this.audience = audience;
    try {
      this.key = new ECKeyGenerator(Curve.P_256).keyID(UUID.randomUUID().toString()).generate();
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
    this.renewal = Thread.ofVirtual().name("demo-issuer").unstarted(this::renew);
  }

  /**
   * Makes a key and writes the first token.
   *
   * @param audience for whom its tokens are: the broker
   */
  static DemoIssuer start(PrivateFolder folder, String audience) {
    var issuer = new DemoIssuer(folder, audience);
    issuer.writeToken();
    issuer.renewal.start();
    return issuer;
  }

  /** The file in which a token is, always one with at least ten minutes left. */
  Path tokenFile() {
    return folder.path().resolve(FILE);
  }

  /** The public half of its key, as a JSON object (RFC 7517). */
  Map<String, Object> publicKey() {
    return key.toPublicJWK().toJSONObject();
  }

  private void writeToken() {
    Instant now = Instant.now();
    var claims =
        new JWTClaimsSet.Builder()
            .issuer(URL)
            .subject(SUBJECT)
            .audience(audience)
            .issueTime(Date.from(now))
            .expirationTime(Date.from(now.plus(LIFE)))
            .jwtID(UUID.randomUUID().toString())
            .build();
    var token =
        new SignedJWT(
            new JWSHeader.Builder(JWSAlgorithm.ES256).keyID(key.getKeyID()).build(), claims);
    try {
      token.sign(new ECDSASigner(key));
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
    folder.write(FILE, token.serialize());
  }

  private void renew() {
    try {
      while (true) {
        Thread.sleep(RENEWAL);
        writeToken();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    renewal.interrupt();
  }
}
