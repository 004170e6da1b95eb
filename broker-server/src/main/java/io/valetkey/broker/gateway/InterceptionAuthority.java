package io.valetkey.broker.gateway;

import io.valetkey.broker.crypto.CertificateRequest;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECKey;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.GeneralSubtree;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.asn1.x509.NameConstraints;
import org.bouncycastle.cert.CertIOException;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.jspecify.annotations.Nullable;

/**
 * The intermediate authority that signs what the forward proxy shows to programs in the place of
 * their destinations' certificates. It can sign no further authority ({@code pathLen} 0) and lives
 * for 30 days at most; the root above it is elsewhere, or its key is gone.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc5280">RFC 5280</a>
 */
public final class InterceptionAuthority {

  /** What is shown for a host, and its key. Not a record, because the key is in it. */
  static final class Leaf {
    private final PrivateKey key;
    private final List<X509Certificate> chain;

    Leaf(PrivateKey key, List<X509Certificate> chain) {
      this.key = key;
      this.chain = List.copyOf(chain);
    }

    PrivateKey key() {
      return key;
    }

    /** The host's certificate first, the root not among them. */
    List<X509Certificate> chain() {
      return chain;
    }
  }

  /** A key that was made here, and what has it certified elsewhere. */
  public static final class Request {
    private final CertificateRequest request;
    private final String name;

    private Request(CertificateRequest request, String name) {
      this.request = request;
      this.name = name;
    }

    /** Makes a new key (P-256) and its request. */
    public static Request make() {
      String name = "Valetkey interception " + id();
      return new Request(CertificateRequest.make(name, null), name);
    }

    /** The common name that it asks for. */
    public String name() {
      return name;
    }

    /** PKCS#10 (RFC 2986) in PEM. */
    public String pem() {
      return request.pem();
    }

    /**
     * The authority, with the certificate that somebody signed.
     *
     * @param chain as {@link InterceptionAuthority#of} wants it
     * @throws GeneralSecurityException if it is none for this key
     */
    public InterceptionAuthority certified(List<X509Certificate> chain, Clock clock)
        throws GeneralSecurityException {
      return of(request.privateKey(), chain, clock);
    }
  }

  /** The longest life of the authority. */
  public static final Duration LIFE = Duration.ofDays(30);

  private static final Duration LEAF_LIFE = Duration.ofHours(24);
  private static final Duration SKEW = Duration.ofMinutes(5);
  private static final int COMMON_NAME = 64;
  private static final int SERIAL_BITS = 127;
  private static final SecureRandom RANDOM = new SecureRandom();

  private final PrivateKey key;
  private final List<X509Certificate> chain;
  private final @Nullable X509Certificate root;
  private final Clock clock;

  private InterceptionAuthority(
      PrivateKey key, List<X509Certificate> chain, @Nullable X509Certificate root, Clock clock) {
    this.key = key;
    this.chain = List.copyOf(chain);
    this.root = root;
    this.clock = clock;
  }

  /**
   * Makes a root and an intermediate. The root's key is thrown away, so that nothing but this one
   * intermediate ever stands below it.
   *
   * @param domains the names, with all below them, for which it can sign; no limit if empty
   */
  public static InterceptionAuthority generate(List<String> domains, Clock clock) {
    Instant now = clock.instant();
    Instant end = now.plus(LIFE);
    KeyPair rootKeys = keys();
    KeyPair ownKeys = keys();
    // A name of its own for each, so that the roots of several gateways are told apart.
    String id = id();
    X500Name rootName = new X500Name("CN=Valetkey interception root " + id);
    try {
      var rootBuilder = builder(rootName, rootName, rootKeys.getPublic(), now, end);
      authority(rootBuilder, rootKeys.getPublic(), 1);
      X509Certificate root = signed(rootBuilder, rootKeys.getPrivate());
      var builder =
          builder(
              rootName,
              new X500Name("CN=Valetkey interception " + id),
              ownKeys.getPublic(),
              now,
              end);
      authority(builder, ownKeys.getPublic(), 0);
      if (!domains.isEmpty()) {
        builder.addExtension(Extension.nameConstraints, true, constraints(domains));
      }
      X509Certificate own = signed(builder, rootKeys.getPrivate());
      return new InterceptionAuthority(ownKeys.getPrivate(), List.of(own), root, clock);
    } catch (GeneralSecurityException | CertIOException e) {
      throw new IllegalStateException("an authority cannot be made", e);
    }
  }

  /**
   * Takes one that was made elsewhere.
   *
   * @param chain its certificate first, then those above it; a root at the end is left out of what
   *     is shown
   * @throws GeneralSecurityException if it may not or cannot be one, with a sentence that says why
   */
  public static InterceptionAuthority of(PrivateKey key, List<X509Certificate> chain, Clock clock)
      throws GeneralSecurityException {
    X509Certificate own = chain.getFirst();
    boolean[] usage = own.getKeyUsage();
    if (own.getBasicConstraints() != 0) {
      throw new GeneralSecurityException("it is not an authority with a path length of 0");
    }
    if (usage == null || !usage[5]) {
      throw new GeneralSecurityException("its key may not sign certificates");
    }
    if (own.getSubjectX500Principal().equals(own.getIssuerX500Principal())) {
      throw new GeneralSecurityException("it is a root; clients ignore what constrains a root");
    }
    Instant begin = own.getNotBefore().toInstant();
    Instant end = own.getNotAfter().toInstant();
    if (Duration.between(begin, end).compareTo(LIFE.plus(SKEW.multipliedBy(2))) > 0) {
      throw new GeneralSecurityException("it lives longer than 30 days");
    }
    own.checkValidity(Date.from(clock.instant()));
    List<X509Certificate> shown = new ArrayList<>(chain);
    X509Certificate last = chain.getLast();
    boolean hasRoot = last.getSubjectX500Principal().equals(last.getIssuerX500Principal());
    if (hasRoot) {
      shown.removeLast();
    }
    var authority = new InterceptionAuthority(key, shown, hasRoot ? last : null, clock);
    authority.leaf("check.invalid").chain().getFirst().verify(own.getPublicKey());
    return authority;
  }

  /** What programs must trust: the root, or where that is not known the authority itself. */
  public X509Certificate trusted() {
    return root == null ? chain.getLast() : root;
  }

  /**
   * The same as a block of PEM.
   *
   * @throws GeneralSecurityException if it cannot be written
   */
  public String trustedPem() throws GeneralSecurityException {
    return inPem("CERTIFICATE", trusted().getEncoded());
  }

  /** When it ends. */
  public Instant end() {
    return chain.getFirst().getNotAfter().toInstant();
  }

  /** Whether it can still sign. */
  boolean isAlive() {
    return clock.instant().isBefore(end());
  }

  /**
   * Signs a new certificate with a new key (P-256) for a host, for a day at most.
   *
   * @throws IllegalStateException if the authority has ended
   */
  Leaf leaf(String host) {
    Instant now = clock.instant();
    Instant end = now.plus(LEAF_LIFE).isBefore(end()) ? now.plus(LEAF_LIFE) : end();
    if (!now.isBefore(end)) {
      throw new IllegalStateException("the interception authority has ended");
    }
    KeyPair keys = keys();
    X500Name issuer = X500Name.getInstance(chain.getFirst().getSubjectX500Principal().getEncoded());
    try {
      var builder = builder(issuer, subject(host), keys.getPublic(), now, end);
      builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(false));
      builder.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature));
      builder.addExtension(
          Extension.extendedKeyUsage, false, new ExtendedKeyUsage(KeyPurposeId.id_kp_serverAuth));
      builder.addExtension(
          Extension.subjectAlternativeName,
          false,
          new GeneralNames(new GeneralName(GeneralName.dNSName, host)));
      builder.addExtension(
          Extension.authorityKeyIdentifier,
          false,
          new JcaX509ExtensionUtils()
              .createAuthorityKeyIdentifier(chain.getFirst().getPublicKey()));
      List<X509Certificate> shown = new ArrayList<>();
      shown.add(signed(builder, key));
      shown.addAll(chain);
      return new Leaf(keys.getPrivate(), shown);
    } catch (GeneralSecurityException | CertIOException e) {
      throw new IllegalStateException("a certificate cannot be signed", e);
    }
  }

  private static X500Name subject(String host) {
    // A common name has 64 characters at most; who checks a name looks elsewhere anyway.
    String name = host.length() <= COMMON_NAME ? host : "valetkey";
    return new X500NameBuilder(BCStyle.INSTANCE).addRDN(BCStyle.CN, name).build();
  }

  private static JcaX509v3CertificateBuilder builder(
      X500Name issuer, X500Name subject, PublicKey key, Instant now, Instant end) {
    return new JcaX509v3CertificateBuilder(
        issuer,
        new BigInteger(SERIAL_BITS, RANDOM).setBit(SERIAL_BITS - 1),
        Date.from(now.minus(SKEW)),
        Date.from(end),
        subject,
        key);
  }

  private static void authority(JcaX509v3CertificateBuilder builder, PublicKey key, int pathLength)
      throws CertIOException, GeneralSecurityException {
    builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(pathLength));
    builder.addExtension(
        Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign));
    builder.addExtension(
        Extension.subjectKeyIdentifier,
        false,
        new JcaX509ExtensionUtils().createSubjectKeyIdentifier(key));
  }

  private static NameConstraints constraints(List<String> domains) {
    GeneralSubtree[] permitted =
        domains.stream()
            .map(domain -> new GeneralSubtree(new GeneralName(GeneralName.dNSName, domain)))
            .toArray(GeneralSubtree[]::new);
    // Names of one kind say nothing about the other: addresses are excluded by themselves.
    GeneralSubtree[] excluded = {everyAddress(4), everyAddress(16)};
    return new NameConstraints(permitted, excluded);
  }

  /** An address and a mask of zeros (RFC 5280 section 4.2.1.10). */
  private static GeneralSubtree everyAddress(int bytes) {
    var zeros = new DEROctetString(new byte[2 * bytes]);
    return new GeneralSubtree(new GeneralName(GeneralName.iPAddress, zeros));
  }

  private static X509Certificate signed(JcaX509v3CertificateBuilder builder, PrivateKey key)
      throws GeneralSecurityException {
    try {
      return new JcaX509CertificateConverter().getCertificate(builder.build(signer(key)));
    } catch (OperatorCreationException e) {
      throw new GeneralSecurityException("the key of the authority cannot sign", e);
    }
  }

  private static String id() {
    return new BigInteger(32, RANDOM).toString(36);
  }

  private static ContentSigner signer(PrivateKey key) throws OperatorCreationException {
    String algorithm = key instanceof ECKey ? "SHA256withECDSA" : "SHA256withRSA";
    return new JcaContentSignerBuilder(algorithm).build(key);
  }

  /** A block of PEM (RFC 7468). */
  private static String inPem(String label, byte[] encoded) {
    String body =
        Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII)).encodeToString(encoded);
    return "-----BEGIN " + label + "-----\n" + body + "\n-----END " + label + "-----\n";
  }

  private static KeyPair keys() {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new java.security.spec.ECGenParameterSpec("secp256r1"));
      return generator.generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("P-256 is missing", e);
    }
  }
}
