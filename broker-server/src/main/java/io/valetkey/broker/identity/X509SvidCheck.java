package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.CertificateThumbprint;
import io.valetkey.broker.crypto.KeyStrength;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.security.GeneralSecurityException;
import java.security.InvalidAlgorithmParameterException;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertPathValidatorException.BasicReason;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateParsingException;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What an X.509-SVID must be (SPIFFE X509-SVID sections 2 to 5, RFC 5280 section 6). The handshake
 * has shown that the caller holds the leaf's key; everything else is asked here, and without the
 * network: no revocation list, no responder, no certificate that is only referred to.
 */
final class X509SvidCheck {

  private static final int LONGEST_CHAIN = 6;
  private static final int URI_NAME = 6; // RFC 5280 section 4.2.1.6
  private static final int DIGITAL_SIGNATURE = 0; // RFC 5280 section 4.2.1.3
  private static final int CERT_SIGN = 5;
  private static final int CRL_SIGN = 6;
  private static final String KEY_USAGE = "2.5.29.15";
  private static final String EXTENDED_KEY_USAGE = "2.5.29.37";
  private static final String CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
  private static final Set<String> SIGNATURES =
      Set.of(
          "SHA256withRSA",
          "SHA384withRSA",
          "SHA512withRSA",
          "SHA256withECDSA",
          "SHA384withECDSA",
          "SHA512withECDSA",
          "Ed25519",
          "EdDSA");

  private final Clock clock;

  X509SvidCheck(Clock clock) {
    this.clock = clock;
  }

  /**
   * The SPIFFE ID that the leaf claims, in its one spelling: its only URI.
   *
   * @throws RefusedException {@link ProblemCode#TOKEN_MALFORMED}
   */
  static String spiffeId(List<X509Certificate> chain) {
    if (chain.isEmpty() || chain.size() > LONGEST_CHAIN) {
      throw malformed("there is no certificate, or a chain of more than " + LONGEST_CHAIN);
    }
    String id = null;
    for (List<?> name : names(chain.getFirst())) {
      if (name.getFirst().equals(URI_NAME)) {
        if (id != null) {
          throw malformed("the certificate has more than one URI");
        }
        id = String.valueOf(name.get(1));
      }
    }
    if (id == null || !ClaimsCheck.printable(id) || !SpiffeId.isWorkload(id)) {
      throw malformed("the certificate's URI is not a workload's SPIFFE ID");
    }
    return id;
  }

  private static Collection<List<?>> names(X509Certificate leaf) {
    try {
      Collection<List<?>> names = leaf.getSubjectAlternativeNames();
      return names == null ? List.of() : names;
    } catch (CertificateParsingException e) {
      throw malformed("the certificate's names cannot be read");
    }
  }

  /**
   * Checks the leaf and its path.
   *
   * @param id what {@link #spiffeId} said
   * @param authorities those of the trust domain in the id, and of no other
   * @throws RefusedException {@link ProblemCode#CLAIMS_INVALID}, {@link
   *     ProblemCode#ALGORITHM_NOT_ALLOWED}, {@link ProblemCode#TOKEN_EXPIRED} or {@link
   *     ProblemCode#SIGNATURE_INVALID}
   */
  VerifiedWorkload check(
      TrustedIssuer issuer,
      Duration maxAge,
      String id,
      List<X509Certificate> chain,
      X509Authorities authorities) {
    X509Certificate leaf = chain.getFirst();
    requireLeaf(leaf);
    for (X509Certificate certificate : chain) {
      requireStrong(certificate);
    }
    Instant from = leaf.getNotBefore().toInstant();
    Instant until = leaf.getNotAfter().toInstant();
    requirePath(chain, authorities, dateOf(from, until));
    if (Duration.between(from, until).compareTo(maxAge) > 0) {
      throw ClaimsCheck.invalid("the certificate lives longer than the issuer's maximum");
    }
    return new VerifiedWorkload(issuer, id, Map.of(), from, until, CertificateThumbprint.of(leaf));
  }

  private static void requireLeaf(X509Certificate leaf) {
    boolean[] usage = leaf.getKeyUsage();
    Set<String> critical = leaf.getCriticalExtensionOIDs();
    if (leaf.getBasicConstraints() >= 0) {
      throw ClaimsCheck.invalid("the certificate is an authority's, not a workload's");
    }
    if (usage == null || critical == null || !critical.contains(KEY_USAGE)) {
      throw ClaimsCheck.invalid("the certificate's key usage is missing or not critical");
    }
    if (!usage[DIGITAL_SIGNATURE] || usage[CERT_SIGN] || usage[CRL_SIGN]) {
      throw ClaimsCheck.invalid("the certificate's key may not be used so");
    }
    // Present but unreadable must not count as absent.
    if (leaf.getExtensionValue(EXTENDED_KEY_USAGE) != null
        && !extendedUsages(leaf).contains(CLIENT_AUTH)) {
      throw ClaimsCheck.invalid("the certificate is not for clients");
    }
  }

  private static List<String> extendedUsages(X509Certificate leaf) {
    try {
      List<String> usages = leaf.getExtendedKeyUsage();
      return usages == null ? List.of() : usages;
    } catch (CertificateParsingException e) {
      return List.of();
    }
  }

  private static void requireStrong(X509Certificate certificate) {
    if (!KeyStrength.suffices(certificate.getPublicKey())
        || !SIGNATURES.contains(certificate.getSigAlgName())) {
      throw new RefusedException(
          ProblemCode.ALGORITHM_NOT_ALLOWED, "a key or signature of the chain is too weak");
    }
  }

  /** Now, or the edge of the leaf's life that now is beyond by less than the leeway. */
  private Date dateOf(Instant from, Instant until) {
    Instant now = clock.instant();
    if (!now.isBefore(until.plus(ClaimsCheck.LEEWAY))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "the certificate has ended");
    }
    if (from.isAfter(now.plus(ClaimsCheck.LEEWAY))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "the certificate is not valid yet");
    }
    Instant date = now.isBefore(from) ? from : now;
    return Date.from(date.isAfter(until) ? until : date);
  }

  private static void requirePath(
      List<X509Certificate> chain, X509Authorities authorities, Date date) {
    List<X509Certificate> path = new ArrayList<>(chain);
    if (path.size() > 1 && authorities.contains(path.getLast())) {
      path.removeLast(); // it is put back, as ours
    }
    CertPathValidatorException failure = null;
    for (X509Certificate root : authorities.named(path.getLast().getIssuerX500Principal())) {
      failure = failureOf(path, root, date);
      if (failure == null) {
        return;
      }
    }
    boolean ended = failure != null && failure.getReason() == BasicReason.EXPIRED;
    throw new RefusedException(
        ended ? ProblemCode.TOKEN_EXPIRED : ProblemCode.SIGNATURE_INVALID,
        failure == null
            ? "no authority of the trust domain has signed the chain"
            : "the chain does not hold: " + failure.getReason());
  }

  /** The root stands in the path as well, so that its own constraints hold. */
  private static @Nullable CertPathValidatorException failureOf(
      List<X509Certificate> path, X509Certificate root, Date date) {
    List<X509Certificate> whole = new ArrayList<>(path);
    whole.add(root);
    try {
      PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
      parameters.setRevocationEnabled(false);
      parameters.setDate(date);
      CertPathValidator.getInstance("PKIX")
          .validate(CertificateFactory.getInstance("X.509").generateCertPath(whole), parameters);
      return null;
    } catch (CertPathValidatorException e) {
      return e;
    } catch (InvalidAlgorithmParameterException e) {
      throw new IllegalStateException("the JDK does not validate such paths", e);
    } catch (GeneralSecurityException e) {
      return new CertPathValidatorException(e);
    }
  }

  private static RefusedException malformed(String detail) {
    return new RefusedException(ProblemCode.TOKEN_MALFORMED, detail);
  }
}
