package io.valetkey.broker.issuance;

import io.valetkey.broker.access.Holder;
import io.valetkey.broker.crypto.CertificateThumbprint;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.token.AccessToken;
import io.valetkey.broker.token.AccessTokens;
import io.valetkey.broker.token.DpopProofs;
import io.valetkey.broker.token.TokenSettings;
import jakarta.servlet.http.HttpServletRequest;
import java.security.cert.X509Certificate;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Who calls, by the access token in the only {@code Authorization} header. */
final class TokenHolders {

  private final AccessTokens tokens;
  private final DpopProofs proofs;
  private final TokenSettings settings;
  private final ClientCertificates certificates;

  TokenHolders(
      AccessTokens tokens,
      DpopProofs proofs,
      TokenSettings settings,
      ClientCertificates certificates) {
    this.certificates = certificates;
    this.tokens = tokens;
    this.proofs = proofs;
    this.settings = settings;
  }

  /**
   * The verified token of a request: a bearer token (RFC 6750 section 2.1), one with the proof of
   * its key (RFC 9449 section 7), or one on a connection of its certificate (RFC 8705 section 3).
   *
   * @throws RefusedException {@link ProblemCode#UNAUTHORIZED} if there is none, {@link
   *     ProblemCode#INVALID_TOKEN} if it is not acceptable
   */
  AccessToken token(HttpServletRequest request) {
    String value = authorization(request);
    int space = value.indexOf(' ');
    String scheme = space < 0 ? "" : value.substring(0, space).toLowerCase(Locale.ROOT);
    if (!scheme.equals("bearer") && !scheme.equals("dpop")) {
      throw new RefusedException(ProblemCode.UNAUTHORIZED, "There is no bearer token");
    }
    String compact = value.substring(space + 1);
    AccessToken token = tokens.verify(compact);
    requireProof(request, compact, token, scheme.equals("dpop"));
    return token;
  }

  /** The value of the only {@code Authorization} header. */
  static String authorization(HttpServletRequest request) {
    List<String> values = Collections.list(request.getHeaders("Authorization"));
    if (values.isEmpty()) {
      throw new RefusedException(ProblemCode.UNAUTHORIZED, "There is no token");
    }
    if (values.size() > 1) {
      throw new RefusedException(ProblemCode.SEVERAL_TOKENS, "There is more than one token");
    }
    return values.getFirst();
  }

  /** A bound token needs the scheme DPoP and one proof of its key, any other token neither. */
  void requireProof(
      HttpServletRequest request, String compact, AccessToken token, boolean announced) {
    requireCertificate(request, token);
    List<String> given = Collections.list(request.getHeaders("DPoP"));
    boolean bound = token.keyThumbprint() != null;
    if (bound != announced || given.size() != (bound ? 1 : 0)) {
      throw invalid("A bound token needs the scheme DPoP and one proof, any other token neither");
    }
    if (!bound) {
      return;
    }
    String uri = settings.issuer() + request.getRequestURI();
    try {
      String proven = proofs.check(given.getFirst(), request.getMethod(), uri, compact);
      if (!proven.equals(token.keyThumbprint())) {
        throw invalid("The proof was made with another key");
      }
    } catch (RefusedException e) {
      throw e.code() == ProblemCode.INVALID_DPOP_PROOF ? invalid(e.detail()) : e;
    }
  }

  private void requireCertificate(HttpServletRequest request, AccessToken token) {
    String bound = token.certificateThumbprint();
    if (bound == null) {
      return;
    }
    List<X509Certificate> chain = certificates.of(request);
    if (chain.isEmpty() || !bound.equals(CertificateThumbprint.of(chain.getFirst()))) {
      throw invalid("The token is bound to a certificate that is not this connection's");
    }
  }

  /** The holder, as decisions ask. */
  static Holder holder(AccessToken token) {
    return new Holder(
        token.agent(),
        token.issuer(),
        token.subject(),
        token.jti(),
        token.epoch(),
        token.destination(),
        token.scopes());
  }

  private static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.INVALID_TOKEN, detail);
  }
}
