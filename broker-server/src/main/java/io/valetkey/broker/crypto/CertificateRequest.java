package io.valetkey.broker.crypto;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.jspecify.annotations.Nullable;

/**
 * A key (P-256) that was made here, and what has it certified elsewhere. Not a record, because the
 * key is in it.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc2986">RFC 2986 (PKCS#10)</a>
 */
public final class CertificateRequest {

  private final KeyPair keys;
  private final String pem;

  private CertificateRequest(KeyPair keys, String pem) {
    this.keys = keys;
    this.pem = pem;
  }

  /**
   * Makes a new key and its request.
   *
   * @param commonName the subject that it asks for; an empty subject if null
   * @param uri the alternative name that it asks for; none if null
   */
  public static CertificateRequest make(@Nullable String commonName, @Nullable String uri) {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"));
      KeyPair keys = generator.generateKeyPair();
      X500NameBuilder subject = new X500NameBuilder(BCStyle.INSTANCE);
      if (commonName != null) {
        subject.addRDN(BCStyle.CN, commonName);
      }
      var request = new JcaPKCS10CertificationRequestBuilder(subject.build(), keys.getPublic());
      if (uri != null) {
        var extensions = new ExtensionsGenerator();
        extensions.addExtension(
            Extension.subjectAlternativeName,
            false,
            new GeneralNames(new GeneralName(GeneralName.uniformResourceIdentifier, uri)));
        request.addAttribute(
            PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, extensions.generate());
      }
      byte[] encoded =
          request
              .build(new JcaContentSignerBuilder("SHA256withECDSA").build(keys.getPrivate()))
              .getEncoded();
      return new CertificateRequest(keys, inPem(encoded));
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw new IllegalStateException("a request cannot be made", e);
    }
  }

  /** The key, which leaves this process for nobody. */
  public PrivateKey privateKey() {
    return keys.getPrivate();
  }

  /** What the certificate has to be of. */
  public PublicKey publicKey() {
    return keys.getPublic();
  }

  /** The request in PEM. */
  public String pem() {
    return pem;
  }

  private static String inPem(byte[] encoded) {
    String body =
        Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII)).encodeToString(encoded);
    return "-----BEGIN CERTIFICATE REQUEST-----\n" + body + "\n-----END CERTIFICATE REQUEST-----\n";
  }
}
