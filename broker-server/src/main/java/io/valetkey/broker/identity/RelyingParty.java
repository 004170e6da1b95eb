package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.net.FormEncoding;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * We as a client of an OpenID provider, by which people sign in: the authorization code flow
 * (OpenID Connect Core section 3.1) with PKCE (RFC 7636, S256). The provider is asked when somebody
 * signs in and not before. Its access token is thrown away.
 */
public final class RelyingParty {

  private static final int LONGEST_SECRET = 4096;
  private static final Set<String> TYPES = Set.of("JWT", "JOSE");

  private final Client client;
  private final BoundedHttp http;
  private final ProviderTalk provider;
  private final SignatureCheck signatures;
  private final TrustedIssuer issuer;
  private final IdTokenCheck idTokens;

  /**
   * How the provider knows us, and where it is.
   *
   * @param issuer its exact {@code iss}
   * @param secretFile holds the client's secret, read again for each use; null for a public client
   * @param redirectUri where it sends people back to
   * @param scopes what is asked for, {@code openid} among them
   * @param endpoints where it is; null to let discovery say
   * @param jwksUri where its keys are; null to let discovery say
   */
  public record Client(
      String issuer,
      String clientId,
      @Nullable Path secretFile,
      String redirectUri,
      List<String> scopes,
      @Nullable Endpoints endpoints,
      @Nullable URI jwksUri) {

    /** Copies the scopes. */
    public Client {
      scopes = List.copyOf(scopes);
    }
  }

  /**
   * The provider's addresses.
   *
   * @param authorization where people are sent
   * @param token where codes are redeemed
   * @param namesItself whether each of its answers has {@code iss} (RFC 9207)
   */
  public record Endpoints(URI authorization, URI token, boolean namesItself) {}

  /**
   * Makes a client.
   *
   * @param mayConnect asked for each address that a host resolves to, before connecting
   */
  public RelyingParty(
      Client client, CryptoProvider crypto, Predicate<InetAddress> mayConnect, Clock clock) {
    this.client = client;
    this.http = new BoundedHttp(mayConnect, true);
    this.provider = new ProviderTalk(client, http);
    this.signatures = new SignatureCheck(new KeyFetch(http, crypto), clock);
    this.idTokens = new IdTokenCheck(client.issuer(), client.clientId(), clock);
    KeySource keys =
        client.jwksUri() == null
            ? new KeySource.Discovery(URI.create(client.issuer()), Tls.PLATFORM)
            : new KeySource.JwksUri(client.jwksUri(), Tls.PLATFORM);
    // SignatureCheck asks for no age; IdTokenCheck has its own rule.
    this.issuer =
        new TrustedIssuer(
            "sign-in",
            TrustedIssuer.Type.OIDC,
            client.issuer(),
            keys,
            TrustedIssuer.ASYMMETRIC,
            KeyFetch.REFRESH_AFTER,
            false,
            null,
            null,
            true,
            1);
  }

  /**
   * Where to send somebody who wants to sign in; may block while the provider is asked.
   *
   * @param verifier the secret of which the provider is told the hash (RFC 7636 section 4.2)
   * @throws RefusedException {@link ProblemCode#ISSUER_UNAVAILABLE} if the provider does not say
   *     where, {@link ProblemCode#RATE_LIMITED} if too many sign in at once
   */
  public URI authorization(String state, String nonce, String verifier) {
    URI endpoint = provider.bounded(provider::endpoints).authorization();
    byte[] hash = Sha256.of(verifier);
    Map<String, String> question = new LinkedHashMap<>();
    question.put("response_type", "code");
    question.put("client_id", client.clientId());
    question.put("redirect_uri", client.redirectUri());
    question.put("scope", String.join(" ", client.scopes()));
    question.put("state", state);
    question.put("nonce", nonce);
    question.put("code_challenge", Base64.getUrlEncoder().withoutPadding().encodeToString(hash));
    question.put("code_challenge_method", "S256");
    return URI.create(
        endpoint + (endpoint.getRawQuery() == null ? "?" : "&") + FormEncoding.form(question));
  }

  /**
   * Refuses an answer that another provider made (RFC 9207 section 2.4).
   *
   * @param iss what the answer says; null if nothing
   * @throws RefusedException {@link ProblemCode#ISSUER_UNKNOWN}, or as {@link #authorization}
   */
  public void requireAnswerOf(@Nullable String iss) {
    if (iss != null || provider.bounded(provider::endpoints).namesItself()) {
      idTokens.requireIssuer(iss);
    }
  }

  /**
   * Redeems a code; blocks for less than 15 seconds.
   *
   * @return the claims of the ID token: verified, for us, of this sign-in, with a printable {@code
   *     sub}
   * @throws RefusedException {@link ProblemCode#ISSUER_UNAVAILABLE} if the provider gives no ID
   *     token, {@link ProblemCode#RATE_LIMITED} if too many sign in at once, else what is wrong
   *     with the ID token, as {@link IdentityVerifier#verify}
   */
  public Map<String, @Nullable Object> redeem(String code, String verifier, String nonce) {
    CompactJws idToken = CompactJws.parse(provider.bounded(() -> idToken(code, verifier)));
    idTokens.requireIssuer(idToken.payload().get("iss"));
    SignatureCheck.requireAllowedHeader(issuer, idToken);
    String typ = idToken.typ();
    if (typ != null && !TYPES.contains(typ.toUpperCase(Locale.ROOT))) {
      throw SignatureCheck.notAllowed("the type is not an ID token's");
    }
    signatures.require(issuer, idToken);
    idTokens.require(idToken.payload(), nonce);
    return idToken.payload();
  }

  private String idToken(String code, String verifier) throws IOException {
    Map<String, String> question = new LinkedHashMap<>();
    question.put("grant_type", "authorization_code");
    question.put("code", code);
    question.put("redirect_uri", client.redirectUri());
    question.put("code_verifier", verifier);
    Path file = client.secretFile();
    if (file == null) {
      question.put("client_id", client.clientId());
    }
    byte[] answer =
        http.post(
            provider.endpoints().token(),
            FormEncoding.form(question),
            file == null ? null : basic(file),
            BoundedHttp.ANSWER_WITHIN);
    Map<String, @Nullable Object> token;
    try {
      token = StrictJson.object(answer);
    } catch (IllegalArgumentException e) {
      throw new IOException("the token endpoint's answer is not the JSON that is expected", e);
    }
    if (!(token.get("id_token") instanceof String idToken)) {
      throw new IOException("the token endpoint's answer has no ID token");
    }
    return idToken;
  }

  private SecretValue basic(Path file) throws IOException {
    String secret;
    try (InputStream in = Files.newInputStream(file)) {
      secret = new String(in.readNBytes(LONGEST_SECRET), StandardCharsets.UTF_8).strip();
    }
    if (secret.isEmpty()) {
      throw new IOException("the client secret's file is empty");
    }
    return SecretValue.of(FormEncoding.basic(client.clientId(), secret));
  }

  /** Whether a browser may be sent there: https, or http on loopback. */
  public static boolean isSecure(URI uri) {
    return uri.getHost() != null
        && uri.getRawUserInfo() == null
        && ("https".equals(uri.getScheme())
            || ("http".equals(uri.getScheme())
                && Set.of("localhost", "127.0.0.1", "[::1]").contains(uri.getHost())));
  }
}
