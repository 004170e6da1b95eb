package io.valetkey.broker.crypto;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.JWSVerifier;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.crypto.RSASSAVerifier;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.OctetKeyPair;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.Base64URL;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.security.Provider;
import java.security.interfaces.EdECPrivateKey;
import java.security.interfaces.RSAPublicKey;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The provider that signs and verifies: Amazon Corretto's (ACCP) where it loads and passes its self
 * test, else the JDK's own, which does the same work several times slower. The choice is visible
 * ({@link #accelerated()}, {@link #reason()}), so that an alarm can be raised; it is made once, at
 * start, and never changes.
 */
public final class CryptoProvider {

  private final @Nullable Provider jca;
  private final String reason;

  private CryptoProvider(@Nullable Provider jca, String reason) {
    this.jca = jca;
    this.reason = reason;
  }

  /**
   * Chooses a provider and tries it out with one signature of each kind that we make.
   *
   * @param choice {@code accp} (or fail), {@code jdk}, or {@code auto}: ACCP if it works, else the
   *     JDK
   * @throws IllegalArgumentException if the choice is none of these
   * @throws IllegalStateException if {@code accp} is demanded and does not work
   */
  public static CryptoProvider select(String choice) {
    return switch (choice) {
      case "jdk" -> jdk("the configuration asks for the JDK");
      case "accp" -> {
        CryptoProvider accp = accp();
        if (!accp.accelerated()) {
          throw new IllegalStateException("ACCP is demanded but does not work: " + accp.reason());
        }
        yield accp;
      }
      case "auto" -> accp();
      default -> throw new IllegalArgumentException("the provider is accp, jdk or auto");
    };
  }

  private static CryptoProvider accp() {
    try {
      Provider accp = Accp.provider();
      if (accp == null) {
        return jdk("ACCP did not load or failed its self test");
      }
      CryptoProvider candidate = new CryptoProvider(accp, "ACCP loaded and passed its self test");
      candidate.tryOut();
      return candidate;
    } catch (JOSEException | RuntimeException | LinkageError e) {
      return jdk("ACCP cannot be used here: " + e.getClass().getSimpleName());
    }
  }

  private static CryptoProvider jdk(String reason) {
    return new CryptoProvider(null, reason);
  }

  private void tryOut() throws JOSEException {
    for (JWSAlgorithm algorithm : new JWSAlgorithm[] {JWSAlgorithm.ES256, JWSAlgorithm.EdDSA}) {
      JWK key = generate(algorithm);
      JWSHeader header = new JWSHeader(algorithm);
      byte[] input = "self test".getBytes(StandardCharsets.US_ASCII);
      Base64URL signature = signer(key, algorithm).sign(header, input);
      JWSVerifier verifier = verifier(key.toPublicJWK(), algorithm);
      boolean good = verifier.verify(header, input, signature);
      input[0] ^= 1;
      if (!good || verifier.verify(header, input, signature)) {
        throw new JOSEException("the provider's " + algorithm + " does not work");
      }
    }
  }

  /**
   * The provider to hand to libraries; null means the JDK's own look-up order, because no single
   * JDK provider has all algorithms.
   */
  public @Nullable Provider jca() {
    return jca;
  }

  /** Whether the fast provider is in use; if not, an alarm is due. */
  public boolean accelerated() {
    return jca != null;
  }

  /** What is in use, for people: {@code accp} or {@code jdk}. */
  public String name() {
    return jca != null ? "accp" : "jdk";
  }

  /** Why this one was chosen, in one line. */
  public String reason() {
    return reason;
  }

  /**
   * A thread-safe verifier for one key and one algorithm.
   *
   * @param publicKey an EC, RSA or Ed25519 key; only its public half is used
   * @param alg the only algorithm that the verifier is used with
   * @throws JOSEException if the algorithm is symmetric or not ours, the key is of another type or
   *     curve (RFC 7518 section 3.4, RFC 8037), its point is not on the curve, or it is an RSA key
   *     under 2048 or over 8192 bits
   */
  public JWSVerifier verifier(JWK publicKey, JWSAlgorithm alg) throws JOSEException {
    KeyFit.require(publicKey, alg);
    return switch (publicKey) {
      case ECKey ec -> {
        ECDSAVerifier verifier = new ECDSAVerifier(ec.toPublicJWK().toECPublicKey(jca));
        verifier.getJCAContext().setProvider(jca);
        yield verifier;
      }
      case RSAKey rsa -> {
        RSASSAVerifier verifier = new RSASSAVerifier((RSAPublicKey) rsa.toPublicKey());
        verifier.getJCAContext().setProvider(jca);
        yield verifier;
      }
      case OctetKeyPair okp -> new Ed25519Verifier(Ed25519Keys.publicKey(okp), jca);
      default -> throw new JOSEException("not an asymmetric key");
    };
  }

  /**
   * A thread-safe signer for one key and one algorithm.
   *
   * @throws JOSEException if the key has no private half or does not fit the algorithm
   */
  public JWSSigner signer(JWK privateKey, JWSAlgorithm alg) throws JOSEException {
    KeyFit.require(privateKey, alg);
    if (!privateKey.isPrivate()) {
      throw new JOSEException("a public key cannot sign");
    }
    return switch (privateKey) {
      case ECKey ec -> {
        ECDSASigner signer = new ECDSASigner(ec.toECPrivateKey(jca));
        signer.getJCAContext().setProvider(jca);
        yield signer;
      }
      case RSAKey rsa -> {
        RSASSASigner signer = new RSASSASigner(rsa);
        signer.getJCAContext().setProvider(jca);
        yield signer;
      }
      case OctetKeyPair okp -> new Ed25519Signer(Ed25519Keys.privateKey(okp), jca);
      default -> throw new JOSEException("not an asymmetric key");
    };
  }

  /**
   * A new private key whose {@code kid} is its RFC 7638 thumbprint.
   *
   * @param alg {@code ES256}, or {@code EdDSA} for Ed25519
   * @throws JOSEException if the algorithm is another one or the provider fails
   */
  public JWK generate(JWSAlgorithm alg) throws JOSEException {
    if (alg.equals(JWSAlgorithm.ES256)) {
      return new ECKeyGenerator(Curve.P_256)
          .provider(jca)
          .algorithm(alg)
          .keyIDFromThumbprint(true)
          .generate();
    }
    if (!alg.equals(JWSAlgorithm.EdDSA)) {
      throw new JOSEException("keys are made for ES256 and EdDSA only");
    }
    try {
      var pair = KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
      byte[] spki = pair.getPublic().getEncoded();
      byte[] x = Arrays.copyOfRange(spki, spki.length - 32, spki.length);
      byte[] d = ((EdECPrivateKey) pair.getPrivate()).getBytes().orElseThrow();
      return new OctetKeyPair.Builder(Curve.Ed25519, Base64URL.encode(x))
          .d(Base64URL.encode(d))
          .algorithm(alg)
          .keyIDFromThumbprint()
          .build();
    } catch (GeneralSecurityException e) {
      throw new JOSEException("no Ed25519 key could be made", e);
    }
  }
}
