package io.valetkey.broker.gateway;

import java.math.BigInteger;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.Date;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509KeyManager;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** A CA of the tests and what it signs, right and wrong. */
final class TestCertificates {

  private final KeyPair caKeys = keys();
  private final X509Certificate ca =
      sign(new X500Name("CN=Test CA"), caKeys, new X500Name("CN=Test CA"), caKeys, null, 1, true);

  /** Trusts the CA and nothing else. */
  TrustManagerFactory trust() throws Exception {
    return trusting(ca);
  }

  /** Trusts this CA and nothing else. */
  static TrustManagerFactory trusting(X509Certificate ca) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("ca", ca);
    var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory;
  }

  SSLContext valid(String name) throws Exception {
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(validKeys(name).getKeyManagers(), null, null);
    return context;
  }

  KeyManagerFactory validKeys(String name) throws Exception {
    KeyPair keys = keys();
    return factory(
        keys, sign(new X500Name("CN=x"), keys, new X500Name("CN=Test CA"), caKeys, name, 1, false));
  }

  /** The CA. */
  X509Certificate authority() {
    return ca;
  }

  /** The CA as programs read it. */
  String pem() throws Exception {
    return pem("CERTIFICATE", ca.getEncoded());
  }

  /** The private key of what {@link #validKeys} gave. */
  static String keyPem(KeyManagerFactory keys) {
    return pem("PRIVATE KEY", manager(keys).getPrivateKey("k").getEncoded());
  }

  /** Its certificate. */
  static X509Certificate chain(KeyManagerFactory keys) {
    return manager(keys).getCertificateChain("k")[0];
  }

  static String chainPem(KeyManagerFactory keys) throws Exception {
    return pem("CERTIFICATE", chain(keys).getEncoded());
  }

  private static X509KeyManager manager(KeyManagerFactory keys) {
    return (X509KeyManager) keys.getKeyManagers()[0];
  }

  static String pem(String what, byte[] bytes) {
    String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes);
    return "-----BEGIN " + what + "-----\n" + body + "\n-----END " + what + "-----\n";
  }

  /** For a client that trusts the CA and nothing else. */
  SSLContext trusting() throws Exception {
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust().getTrustManagers(), null);
    return context;
  }

  SSLContext expired(String name) throws Exception {
    KeyPair keys = keys();
    return context(
        keys,
        sign(new X500Name("CN=x"), keys, new X500Name("CN=Test CA"), caKeys, name, -1, false));
  }

  SSLContext selfSigned(String name) throws Exception {
    KeyPair keys = keys();
    return context(
        keys, sign(new X500Name("CN=x"), keys, new X500Name("CN=x"), keys, name, 1, false));
  }

  private static SSLContext context(KeyPair keys, X509Certificate certificate) throws Exception {
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(factory(keys, certificate).getKeyManagers(), null, null);
    return context;
  }

  private static KeyManagerFactory factory(KeyPair keys, X509Certificate certificate)
      throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setKeyEntry("k", keys.getPrivate(), new char[0], new X509Certificate[] {certificate});
    var factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(store, new char[0]);
    return factory;
  }

  private static X509Certificate sign(
      X500Name subject,
      KeyPair keys,
      X500Name issuer,
      KeyPair issuerKeys,
      String dnsName,
      int endsInDays,
      boolean isCa) {
    try {
      Instant end = Instant.now().plus(endsInDays, ChronoUnit.DAYS);
      var builder =
          new JcaX509v3CertificateBuilder(
              issuer,
              BigInteger.valueOf(System.nanoTime()),
              Date.from(end.minus(5, ChronoUnit.DAYS)),
              Date.from(end),
              subject,
              keys.getPublic());
      builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(isCa));
      if (dnsName != null) {
        builder.addExtension(
            Extension.subjectAlternativeName,
            false,
            new GeneralNames(new GeneralName(GeneralName.dNSName, dnsName)));
      }
      return new JcaX509CertificateConverter()
          .getCertificate(
              builder.build(
                  new JcaContentSignerBuilder("SHA256withECDSA").build(issuerKeys.getPrivate())));
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  static KeyPair keys() {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(256);
      return generator.generateKeyPair();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
