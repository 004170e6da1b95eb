package io.valetkey.broker.issuance;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.token.TokenSettings;
import java.security.cert.X509Certificate;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A token request after its syntax was checked.
 *
 * <p>All ways lead to the same questions: W1 is {@code client_credentials} (RFC 6749 section 4.4)
 * with a client assertion (RFC 7523 section 2.2), W2 is token exchange (RFC 8693), and W3 is W1
 * with a certificate instead (RFC 8705 section 2).
 */
final class TokenRequest {

  /** How the workload proves who it is. */
  enum Way {
    CLIENT_CREDENTIALS,
    CLIENT_CERTIFICATE,
    TOKEN_EXCHANGE
  }

  private static final String EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
  private static final String TOKEN_TYPE = "urn:ietf:params:oauth:token-type:";
  private static final Set<String> SUBJECT_TYPES =
      Set.of(TOKEN_TYPE + "jwt", TOKEN_TYPE + "id_token", TOKEN_TYPE + "access_token");
  private static final Set<String> REQUESTED_TYPES =
      Set.of(TOKEN_TYPE + "access_token", TOKEN_TYPE + "jwt");
  private static final String ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-";
  private static final Set<String> ASSERTION_TYPES =
      Set.of(ASSERTION + "bearer", ASSERTION + "spiffe");

  private final Way way;
  private final @Nullable SecretValue identityToken;
  private final List<X509Certificate> certificates;
  private final @Nullable String clientId;
  private final @Nullable String destination;
  private final Set<String> scopes;
  private final String issuedTokenType;

  private TokenRequest(
      Way way,
      FormBody form,
      @Nullable SecretValue identityToken,
      List<X509Certificate> certificates,
      String issuedTokenType,
      TokenSettings settings) {
    this.way = way;
    this.identityToken = identityToken;
    this.certificates = certificates;
    this.issuedTokenType = issuedTokenType;
    this.clientId = form.get("client_id");
    this.destination = target(form, settings);
    this.scopes = scopes(form.get("scope"));
  }

  /**
   * Reads a request.
   *
   * @param certificates the chain that the connection was made with; empty if there is none
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST}, {@link
   *     ProblemCode#UNSUPPORTED_GRANT_TYPE}, {@link ProblemCode#INVALID_TARGET}, {@link
   *     ProblemCode#INVALID_SCOPE}, or {@link ProblemCode#INVALID_CLIENT} if W1 has no assertion
   */
  static TokenRequest of(
      FormBody form, List<X509Certificate> certificates, TokenSettings settings) {
    String grantType = form.require("grant_type");
    return switch (grantType) {
      case "client_credentials" ->
          certificates.isEmpty()
              ? clientCredentials(form, settings)
              : clientCertificate(form, certificates, settings);
      case EXCHANGE -> {
        requireNoCertificate(certificates);
        yield exchange(form, settings);
      }
      default ->
          throw new RefusedException(
              ProblemCode.UNSUPPORTED_GRANT_TYPE, "Supported: client_credentials and " + EXCHANGE);
    };
  }

  private static TokenRequest clientCredentials(FormBody form, TokenSettings settings) {
    for (String foreign : List.of("client_secret", "subject_token", "actor_token")) {
      if (form.get(foreign) != null) {
        throw malformed("The parameter " + foreign + " is not supported with this grant type");
      }
    }
    String type = form.get("client_assertion_type");
    String assertion = form.get("client_assertion");
    if (type == null || assertion == null) {
      throw new RefusedException(ProblemCode.INVALID_CLIENT, "There is no client assertion");
    }
    if (!ASSERTION_TYPES.contains(type)) {
      throw malformed("The client assertion type is not supported");
    }
    return new TokenRequest(
        Way.CLIENT_CREDENTIALS,
        form,
        SecretValue.of(assertion),
        List.of(),
        TOKEN_TYPE + "access_token",
        settings);
  }

  /** One proof only: with two it would have to be guessed whose token is asked for. */
  private static TokenRequest clientCertificate(
      FormBody form, List<X509Certificate> certificates, TokenSettings settings) {
    for (String foreign :
        List.of(
            "client_assertion",
            "client_assertion_type",
            "client_secret",
            "subject_token",
            "actor_token")) {
      if (form.get(foreign) != null) {
        throw malformed("The connection has a client certificate: there can be no " + foreign);
      }
    }
    form.require("client_id");
    return new TokenRequest(
        Way.CLIENT_CERTIFICATE, form, null, certificates, TOKEN_TYPE + "access_token", settings);
  }

  private static void requireNoCertificate(List<X509Certificate> certificates) {
    if (!certificates.isEmpty()) {
      throw malformed("The connection has a client certificate: there can be no subject token");
    }
  }

  private static TokenRequest exchange(FormBody form, TokenSettings settings) {
    for (String foreign :
        List.of("actor_token", "actor_token_type", "client_assertion", "client_secret")) {
      if (form.get(foreign) != null) {
        throw malformed("The parameter " + foreign + " is not supported with this grant type");
      }
    }
    String token = form.require("subject_token");
    if (!SUBJECT_TYPES.contains(form.require("subject_token_type"))) {
      throw malformed("The subject token type is not supported");
    }
    String requested = form.get("requested_token_type");
    if (requested != null && !REQUESTED_TYPES.contains(requested)) {
      throw malformed("The requested token type is not supported");
    }
    String issued = requested == null ? TOKEN_TYPE + "access_token" : requested;
    return new TokenRequest(
        Way.TOKEN_EXCHANGE, form, SecretValue.of(token), List.of(), issued, settings);
  }

  /**
   * All of {@code resource} (RFC 8707) and {@code audience} must name one and the same destination.
   */
  private static @Nullable String target(FormBody form, TokenSettings settings) {
    Set<String> named = new LinkedHashSet<>(form.all("audience"));
    for (String resource : form.all("resource")) {
      String destination = settings.destinationOf(resource);
      if (destination == null) {
        throw new RefusedException(ProblemCode.INVALID_TARGET, "The resource is not a destination");
      }
      named.add(destination);
    }
    if (named.size() > 1) {
      throw new RefusedException(ProblemCode.INVALID_TARGET, "Several destinations are named");
    }
    return named.isEmpty() ? null : named.iterator().next();
  }

  /** RFC 6749 section 3.3: {@code scope-token *( SP scope-token )}. */
  private static Set<String> scopes(@Nullable String text) {
    if (text == null) {
      return Set.of();
    }
    Set<String> scopes = new LinkedHashSet<>();
    for (String scope : text.split(" ", -1)) {
      boolean valid =
          !scope.isEmpty()
              && scope.chars().allMatch(c -> c > 0x20 && c < 0x7f && c != '"' && c != '\\');
      if (!valid) {
        throw new RefusedException(ProblemCode.INVALID_SCOPE, "The scope is malformed");
      }
      scopes.add(scope);
    }
    return scopes;
  }

  Way way() {
    return way;
  }

  /** The certificates that stand for an identity token; empty if there is one. */
  List<X509Certificate> certificates() {
    return certificates;
  }

  /** The client assertion or the subject token; null if certificates stand for it. */
  @Nullable SecretValue identityToken() {
    return identityToken;
  }

  @Nullable String clientId() {
    return clientId;
  }

  @Nullable String destination() {
    return destination;
  }

  Set<String> scopes() {
    return scopes;
  }

  String issuedTokenType() {
    return issuedTokenType;
  }

  private static RefusedException malformed(String detail) {
    return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
  }
}
