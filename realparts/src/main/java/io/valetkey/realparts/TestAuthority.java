package io.valetkey.realparts;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Date;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.jspecify.annotations.Nullable;

/** A certificate authority for one test: P-256 keys, certificates that are valid for a day. */
public final class TestAuthority {

  private final TestCertificate root;

  private TestAuthority(TestCertificate root) {
    this.root = root;
  }

  /**
   * Makes an authority.
   *
   * @param name its common name
   */
  public static TestAuthority create(String name) {
    KeyPair keys = keys();
    X500Name subject = new X500Name("CN=" + name);
    X509Certificate certificate =
        sign(subject, keys, subject, keys, null, new GeneralName[0], life(Duration.ofDays(1)));
    return new TestAuthority(new TestCertificate(keys.getPrivate(), certificate, certificate));
  }

  /** The authority's own certificate. */
  public X509Certificate certificate() {
    return root.certificate();
  }

  /** The authority's own certificate as PEM. */
  public String pem() {
    return root.certificatePem();
  }

  /** Writes the authority's certificate into a folder, as {@code ca.pem}. */
  public Path writePem(Path folder) {
    try {
      return Files.writeString(folder.resolve("ca.pem"), pem());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * A server's certificate.
   *
   * @param hosts names and IP addresses, at least one
   */
  public TestCertificate server(String... hosts) {
    return issue("CN=" + hosts[0], KeyPurposeId.id_kp_serverAuth, life(Duration.ofDays(1)), hosts);
  }

  /** A server's certificate that ended an hour ago. */
  public TestCertificate expiredServer(String... hosts) {
    Instant now = Instant.now();
    Instant[] past = {now.minus(Duration.ofDays(2)), now.minus(Duration.ofHours(1))};
    return issue("CN=" + hosts[0], KeyPurposeId.id_kp_serverAuth, past, hosts);
  }

  /**
   * A client's certificate.
   *
   * @param subject its distinguished name, for example {@code CN=broker,O=team-a}
   */
  public TestCertificate client(String subject) {
    return issue(subject, KeyPurposeId.id_kp_clientAuth, life(Duration.ofDays(1)));
  }

  /** A TLS context that trusts this authority alone. */
  public SSLContext trust() {
    return trusting(certificate(), null);
  }

  /** A TLS context that trusts this authority alone and shows a client certificate. */
  public SSLContext trustAs(TestCertificate client) {
    return trusting(certificate(), client);
  }

  /** A TLS context that trusts the authority in this PEM file alone. */
  public static SSLContext trusting(Path pem) {
    try (InputStream in = Files.newInputStream(pem)) {
      return trusting(
          (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in), null);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static SSLContext trusting(X509Certificate authority, @Nullable TestCertificate client) {
    try {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      store.setCertificateEntry("ca", authority);
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(store);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(client == null ? null : client.keyManagers(), trust.getTrustManagers(), null);
      return context;
    } catch (GeneralSecurityException | IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private TestCertificate issue(
      String subject, KeyPurposeId purpose, Instant[] life, String... hosts) {
    KeyPair keys = keys();
    GeneralName[] names =
        Arrays.stream(hosts)
            .map(host -> new GeneralName(isAddress(host) ? 7 : 2, host))
            .toArray(GeneralName[]::new);
    KeyPair issuer = new KeyPair(root.certificate().getPublicKey(), root.key());
    X500Name issuerName =
        X500Name.getInstance(root.certificate().getSubjectX500Principal().getEncoded());
    X509Certificate certificate =
        sign(issuerName, issuer, new X500Name(subject), keys, purpose, names, life);
    return new TestCertificate(keys.getPrivate(), certificate, root.certificate());
  }

  private static X509Certificate sign(
      X500Name issuer,
      KeyPair issuerKeys,
      X500Name subject,
      KeyPair keys,
      @Nullable KeyPurposeId purpose,
      GeneralName[] names,
      Instant[] life) {
    try {
      X509v3CertificateBuilder builder =
          new JcaX509v3CertificateBuilder(
              issuer,
              new BigInteger(120, new SecureRandom()),
              Date.from(life[0]),
              Date.from(life[1]),
              subject,
              keys.getPublic());
      JcaX509ExtensionUtils ids = new JcaX509ExtensionUtils();
      boolean authority = purpose == null;
      builder.addExtension(
          Extension.subjectKeyIdentifier, false, ids.createSubjectKeyIdentifier(keys.getPublic()));
      builder.addExtension(
          Extension.authorityKeyIdentifier,
          false,
          ids.createAuthorityKeyIdentifier(issuerKeys.getPublic()));
      builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(authority));
      builder.addExtension(
          Extension.keyUsage,
          true,
          new KeyUsage(
              authority ? KeyUsage.keyCertSign | KeyUsage.cRLSign : KeyUsage.digitalSignature));
      if (purpose != null) {
        builder.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(purpose));
      }
      if (names.length > 0) {
        ASN1Encodable alternatives = new GeneralNames(names);
        builder.addExtension(Extension.subjectAlternativeName, false, alternatives);
      }
      var signer = new JcaContentSignerBuilder("SHA256withECDSA").build(issuerKeys.getPrivate());
      return new JcaX509CertificateConverter().getCertificate(builder.build(signer));
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Instant[] life(Duration length) {
    Instant now = Instant.now();
    return new Instant[] {now.minus(Duration.ofMinutes(5)), now.plus(length)};
  }

  private static boolean isAddress(String host) {
    return host.contains(":") || host.matches("[0-9.]+");
  }

  private static KeyPair keys() {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"));
      return generator.generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }
}
