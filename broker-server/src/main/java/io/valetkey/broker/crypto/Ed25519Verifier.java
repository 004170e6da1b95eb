package io.valetkey.broker.crypto;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSVerifier;
import com.nimbusds.jose.jca.JCAContext;
import com.nimbusds.jose.util.Base64URL;
import java.security.GeneralSecurityException;
import java.security.Provider;
import java.security.PublicKey;
import java.security.Signature;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Ed25519 by JCA (RFC 8037 section 3.1); Nimbus' own class needs Tink. */
final class Ed25519Verifier implements JWSVerifier {

  static final Set<JWSAlgorithm> ALGORITHMS = Set.of(JWSAlgorithm.EdDSA, JWSAlgorithm.Ed25519);

  private final PublicKey key;
  private final @Nullable Provider provider;

  Ed25519Verifier(PublicKey key, @Nullable Provider provider) {
    this.key = key;
    this.provider = provider;
  }

  @Override
  public boolean verify(JWSHeader header, byte[] signingInput, Base64URL signature) {
    byte[] bytes = signature.decode();
    if (!ALGORITHMS.contains(header.getAlgorithm()) || bytes.length != 64) {
      return false;
    }
    try {
      Signature ed25519 = instance(provider);
      ed25519.initVerify(key);
      ed25519.update(signingInput);
      return ed25519.verify(bytes);
    } catch (GeneralSecurityException e) {
      return false; // some providers throw where others say no
    }
  }

  static Signature instance(@Nullable Provider provider) throws GeneralSecurityException {
    return provider != null
        ? Signature.getInstance("Ed25519", provider)
        : Signature.getInstance("Ed25519");
  }

  @Override
  public Set<JWSAlgorithm> supportedJWSAlgorithms() {
    return ALGORITHMS;
  }

  @Override
  public JCAContext getJCAContext() {
    return new JCAContext(provider, null);
  }
}
