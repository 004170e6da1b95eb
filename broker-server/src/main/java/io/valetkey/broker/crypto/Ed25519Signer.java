package io.valetkey.broker.crypto;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.jca.JCAContext;
import com.nimbusds.jose.util.Base64URL;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Signature;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Ed25519 by JCA (RFC 8037 section 3.1); Nimbus' own class needs Tink. */
final class Ed25519Signer implements JWSSigner {

  private final PrivateKey key;
  private final @Nullable Provider provider;

  Ed25519Signer(PrivateKey key, @Nullable Provider provider) {
    this.key = key;
    this.provider = provider;
  }

  @Override
  public Base64URL sign(JWSHeader header, byte[] signingInput) throws JOSEException {
    if (!Ed25519Verifier.ALGORITHMS.contains(header.getAlgorithm())) {
      throw new JOSEException("this key signs with Ed25519 only");
    }
    try {
      Signature ed25519 = Ed25519Verifier.instance(provider);
      ed25519.initSign(key);
      ed25519.update(signingInput);
      return Base64URL.encode(ed25519.sign());
    } catch (GeneralSecurityException e) {
      throw new JOSEException("the signature could not be made", e);
    }
  }

  @Override
  public Set<JWSAlgorithm> supportedJWSAlgorithms() {
    return Ed25519Verifier.ALGORITHMS;
  }

  @Override
  public JCAContext getJCAContext() {
    return new JCAContext(provider, null);
  }
}
