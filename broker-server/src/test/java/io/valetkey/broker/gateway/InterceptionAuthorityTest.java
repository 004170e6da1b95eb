package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.junit.jupiter.api.Test;

/** Which authorities the forward proxy takes, and what they sign. Invariant: G17. */
class InterceptionAuthorityTest {

  private static final Clock CLOCK = Clock.systemUTC();
  private final KeyPair rootKeys = TestCertificates.keys();
  private final KeyPair ownKeys = TestCertificates.keys();
  private final X509Certificate root =
      certificate("CN=root", rootKeys, "CN=root", 300, 1, KeyUsage.keyCertSign);

  @Test
  void intermediate_belowARootOfOnesOwn_signsLeavesThatTheRootVouchesFor() throws Exception {
    var own = certificate("CN=own", ownKeys, "CN=root", 20, 0, KeyUsage.keyCertSign);
    var authority = InterceptionAuthority.of(ownKeys.getPrivate(), List.of(own, root), CLOCK);
    assertThat(authority.trusted()).isEqualTo(root);
    List<X509Certificate> chain = authority.leaf("api.example.com").chain();
    assertThat(chain).hasSize(2);
    validate(chain, root);
    assertThat(chain.getFirst().getKeyUsage()[5]).isFalse();
  }

  @Test
  void leaf_neverOutlivesItsAuthority_andNoneComesAfterIt() throws Exception {
    var own = certificate("CN=own", ownKeys, "CN=root", 1, 0, KeyUsage.keyCertSign);
    var authority = InterceptionAuthority.of(ownKeys.getPrivate(), List.of(own), CLOCK);
    assertThat(authority.leaf("a.test").chain().getFirst().getNotAfter())
        .isBeforeOrEqualTo(own.getNotAfter());
    var late =
        InterceptionAuthority.generate(
            List.of(), Clock.offset(CLOCK, InterceptionAuthority.LIFE.negated()));
    assertThat(late.end()).isBefore(Instant.now().plusSeconds(5));
  }

  @Test
  void generated_isLimitedToItsDomains() throws Exception {
    var authority = InterceptionAuthority.generate(List.of("example.com"), CLOCK);
    validate(authority.leaf("api.example.com").chain(), authority.trusted());
    assertThatThrownBy(() -> validate(authority.leaf("other.test").chain(), authority.trusted()))
        .isInstanceOf(GeneralSecurityException.class);
  }

  @Test
  void authority_thatMaySignTooMuchOrTooLong_isNotTaken() {
    var sign = KeyUsage.keyCertSign;
    refused(certificate("CN=own", ownKeys, "CN=root", 20, 1, sign), "path length");
    refused(certificate("CN=own", ownKeys, "CN=root", 20, -1, sign), "path length");
    refused(certificate("CN=own", ownKeys, "CN=root", 90, 0, sign), "longer than 30 days");
    refused(certificate("CN=own", ownKeys, "CN=root", 20, 0, KeyUsage.cRLSign), "may not sign");
    refused(certificate("CN=root", ownKeys, "CN=root", 20, 0, sign), "root");
    refused(certificate("CN=own", ownKeys, "CN=root", -1, 0, sign), "");
    // The key of another.
    assertThatThrownBy(() ->
            InterceptionAuthority.of(
                rootKeys.getPrivate(),
                List.of(certificate("CN=own", ownKeys, "CN=root", 20, 0, sign)),
                CLOCK))
        .isInstanceOf(GeneralSecurityException.class);
  }

  private void refused(X509Certificate own, String why) {
    assertThatThrownBy(() -> InterceptionAuthority.of(ownKeys.getPrivate(), List.of(own), CLOCK))
        .isInstanceOf(GeneralSecurityException.class)
        .hasMessageContaining(why);
  }

  private static void validate(List<X509Certificate> chain, X509Certificate anchor)
      throws GeneralSecurityException {
    // Constraints of the anchor itself do not count here, as in Java's own TLS.
    var parameters = new PKIXParameters(Set.of(new TrustAnchor(anchor, null)));
    parameters.setRevocationEnabled(false);
    var path = CertificateFactory.getInstance("X.509").generateCertPath(chain);
    assertThat(CertPathValidator.getInstance("PKIX").validate(path, parameters)).isNotNull();
  }

  private X509Certificate certificate(
      String subject, KeyPair keys, String issuer, int days, int pathLength, int usage) {
    try {
      Instant end = Instant.now().plus(Duration.ofDays(days));
      var builder =
          new JcaX509v3CertificateBuilder(
              new X500Name(issuer),
              BigInteger.valueOf(System.nanoTime()),
              Date.from(end.minus(Duration.ofDays(Math.max(days, 5)))),
              Date.from(end),
              new X500Name(subject),
              keys.getPublic());
      builder.addExtension(
          Extension.basicConstraints,
          true,
          pathLength < 0 ? new BasicConstraints(true) : new BasicConstraints(pathLength));
      builder.addExtension(Extension.keyUsage, true, new KeyUsage(usage));
      return new JcaX509CertificateConverter()
          .getCertificate(
              builder.build(
                  new JcaContentSignerBuilder("SHA256withECDSA").build(rootKeys.getPrivate())));
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
