package io.valetkey.broker;

import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.security.spec.AlgorithmParameterSpec;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.RSAKeyGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import java.util.stream.Stream;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.GeneralSubtree;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.asn1.x509.NameConstraints;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** A SPIFFE trust domain of a test: an authority, and certificates right and wrong. */
public final class TestTrustDomain {

  private static final ECGenParameterSpec P256 = new ECGenParameterSpec("secp256r1");

  private final String name;
  private final Svid root;

  private TestTrustDomain(String name, Svid root) {
    this.name = name;
    this.root = root;
  }

  public static TestTrustDomain of(String name) {
    return new TestTrustDomain(name, blank(null, "CN=" + name).authority(null).make());
  }

  /** One whose root says more about itself than that it is an authority. */
  public static TestTrustDomain of(String name, Draft root) {
    return new TestTrustDomain(name, root.make());
  }

  /** What {@link #of(String, Draft)} starts from. */
  public static Draft rootDraft(String name) {
    return blank(null, "CN=" + name).authority(null);
  }

  public X509Certificate certificate() {
    return root.chain.getFirst();
  }

  public String pem() {
    return pem(root.chain.getFirst());
  }

  /** Its bundle (SPIFFE Trust Domain and Bundle, section 4) as JSON, without JWT keys. */
  public String bundle() throws GeneralSecurityException {
    return "{\"keys\":[{\"use\":\"x509-svid\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x5c\":[\""
        + Base64.getEncoder().encodeToString(certificate().getEncoded())
        + "\"]}]}";
  }

  /** A good SVID, to be made worse. */
  public Draft svid(String path) {
    return blank(root, "O=" + name)
        .uris("spiffe://" + name + path)
        .usage(KeyUsage.digitalSignature)
        .purposes(KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth);
  }

  public Svid workload(String path) {
    return svid(path).make();
  }

  /** An authority below the root. */
  public Draft intermediate(Integer pathLength) {
    return blank(root, "CN=intermediate of " + name).authority(pathLength);
  }

  private static Draft blank(Svid issuer, String subject) {
    return new Draft(issuer, new X500Name(subject));
  }

  public static String pem(Object object) {
    StringWriter text = new StringWriter();
    try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
      writer.writeObject(object);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString();
  }

  /** A chain, the leaf first and without the root, with the key of the leaf. */
  public static final class Svid {
    public final List<X509Certificate> chain;
    final PrivateKey key;

    Svid(List<X509Certificate> chain, PrivateKey key) {
      this.chain = chain;
      this.key = key;
    }

    public X509Certificate leaf() {
      return chain.getFirst();
    }

    /** The same key and leaf, with another chain above. */
    public Svid over(X509Certificate... above) {
      return new Svid(Stream.concat(Stream.of(leaf()), Arrays.stream(above)).toList(), key);
    }

    /** Its chain as PEM. */
    public String pem() throws GeneralSecurityException {
      StringBuilder all = new StringBuilder();
      for (X509Certificate certificate : chain) {
        all.append(block("CERTIFICATE", certificate.getEncoded()));
      }
      return all.toString();
    }

    /** Its key as PEM. */
    public String keyPem() {
      return block("PRIVATE KEY", key.getEncoded());
    }

    private static String block(String label, byte[] encoded) {
      String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(encoded);
      return "-----BEGIN " + label + "-----\n" + body + "\n-----END " + label + "-----\n";
    }

    /** A context of a client that shows this and trusts the one authority. */
    public SSLContext trusting(X509Certificate authority) {
      try {
        KeyStore own = KeyStore.getInstance("PKCS12");
        own.load(null, null);
        own.setKeyEntry("k", key, new char[0], chain.toArray(X509Certificate[]::new));
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, new char[0]);
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("ca", authority);
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
      } catch (GeneralSecurityException | IOException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** A certificate that is not signed yet. */
  public static final class Draft {
    private final Svid issuer;
    private final X500Name subject;
    private final List<GeneralName> names = new ArrayList<>();
    private Instant from = Instant.now().minus(Duration.ofMinutes(1));
    private Instant until = Instant.now().plus(Duration.ofMinutes(59));
    private BasicConstraints constraints = new BasicConstraints(false);
    private int usage;
    private boolean usageCritical = true;
    private KeyPurposeId[] purposes = {};
    private byte[] purposesAsTheyAre;
    private String permittedUri;
    private boolean strange;
    private String signature = "SHA256withECDSA";
    private String algorithm = "EC";
    private AlgorithmParameterSpec parameters = P256;
    private KeyPair keys;

    private Draft(Svid issuer, X500Name subject) {
      this.issuer = issuer;
      this.subject = subject;
    }

    public Draft uris(String... uris) {
      names.removeIf(name -> name.getTagNo() == GeneralName.uniformResourceIdentifier);
      Arrays.stream(uris)
          .forEach(uri -> names.add(new GeneralName(GeneralName.uniformResourceIdentifier, uri)));
      return this;
    }

    public Draft dns(String dns) {
      names.add(new GeneralName(GeneralName.dNSName, dns));
      return this;
    }

    public Draft life(Instant from, Instant until) {
      this.from = from;
      this.until = until;
      return this;
    }

    public Draft authority(Integer pathLength) {
      constraints =
          pathLength == null ? new BasicConstraints(true) : new BasicConstraints(pathLength);
      usage = KeyUsage.keyCertSign | KeyUsage.cRLSign;
      return this;
    }

    public Draft basic(BasicConstraints given) {
      constraints = given;
      return this;
    }

    /** None at all if 0. */
    public Draft usage(int bits) {
      usage = bits;
      return this;
    }

    public Draft usageNotCritical() {
      usageCritical = false;
      return this;
    }

    public Draft purposes(KeyPurposeId... given) {
      purposes = given;
      return this;
    }

    public Draft purposesOfBytes(byte[] given) {
      purposesAsTheyAre = given;
      return this;
    }

    public Draft permitting(String uriHost) {
      permittedUri = uriHost;
      return this;
    }

    public Draft withAnUnknownCriticalExtension() {
      strange = true;
      return this;
    }

    public Draft signedBy(String signatureAlgorithm) {
      signature = signatureAlgorithm;
      return this;
    }

    public Draft rsa(int bits) {
      algorithm = "RSA";
      parameters = new RSAKeyGenParameterSpec(bits, RSAKeyGenParameterSpec.F4);
      return this;
    }

    public Draft ed25519() {
      algorithm = "Ed25519";
      parameters = null;
      return this;
    }

    public Draft curve(String curve) {
      parameters = new ECGenParameterSpec(curve);
      return this;
    }

    /** By itself instead of by its issuer. */
    public Svid selfSigned() {
      Draft own = new Draft(null, subject);
      own.names.addAll(names);
      own.usage = usage;
      own.purposes = purposes;
      own.constraints = constraints;
      return own.make();
    }

    /** By somebody of the same name as the issuer who has another key. */
    public Svid signedByAnother(TestTrustDomain other) {
      return signed(
          new Svid(other.root.chain, other.root.key),
          X500Name.getInstance(issuer.leaf().getSubjectX500Principal().getEncoded()));
    }

    public Svid make() {
      return signed(
          issuer,
          issuer == null
              ? subject
              : X500Name.getInstance(issuer.leaf().getSubjectX500Principal().getEncoded()));
    }

    /** What an intermediate signs. */
    public Draft by(Svid intermediate) {
      Draft same = new Draft(intermediate, subject);
      same.names.addAll(names);
      same.from = from;
      same.until = until;
      same.usage = usage;
      same.purposes = purposes;
      same.constraints = constraints;
      return same;
    }

    private Svid signed(Svid by, X500Name issuerName) {
      try {
        keys = pair();
        var builder =
            new JcaX509v3CertificateBuilder(
                issuerName,
                new BigInteger(120, new SecureRandom()),
                Date.from(from),
                Date.from(until),
                subject,
                keys.getPublic());
        if (constraints != null) {
          builder.addExtension(Extension.basicConstraints, true, constraints);
        }
        if (usage != 0) {
          builder.addExtension(Extension.keyUsage, usageCritical, new KeyUsage(usage));
        }
        if (purposes.length > 0) {
          builder.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(purposes));
        }
        if (purposesAsTheyAre != null) {
          builder.addExtension(Extension.extendedKeyUsage, false, purposesAsTheyAre);
        }
        if (!names.isEmpty()) {
          builder.addExtension(
              Extension.subjectAlternativeName,
              false,
              new GeneralNames(names.toArray(GeneralName[]::new)));
        }
        if (permittedUri != null) {
          var subtree =
              new GeneralSubtree(
                  new GeneralName(GeneralName.uniformResourceIdentifier, permittedUri));
          builder.addExtension(
              Extension.nameConstraints,
              true,
              new NameConstraints(new GeneralSubtree[] {subtree}, null));
        }
        if (strange) {
          builder.addExtension(
              new ASN1ObjectIdentifier("1.3.6.1.4.1.99999.1"),
              true,
              new DEROctetString(new byte[] {1}));
        }
        PrivateKey signer = by == null ? keys.getPrivate() : by.key;
        X509Certificate made =
            new JcaX509CertificateConverter()
                .getCertificate(
                    builder.build(new JcaContentSignerBuilder(signature).build(signer)));
        List<X509Certificate> chain = new ArrayList<>(List.of(made));
        if (by != null
            && !by.leaf().getIssuerX500Principal().equals(by.leaf().getSubjectX500Principal())) {
          chain.addAll(by.chain); // an intermediate; the root is known
        }
        return new Svid(List.copyOf(chain), keys.getPrivate());
      } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
        throw new IllegalStateException(e);
      }
    }

    private KeyPair pair() throws GeneralSecurityException {
      KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
      if (parameters != null) {
        generator.initialize(parameters);
      }
      return generator.generateKeyPair();
    }
  }
}
