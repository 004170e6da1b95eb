package io.valetkey.broker.token;

import java.time.Instant;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a verified access token says. Only {@link AccessTokens} makes one, so holding one means that
 * the signature, the issuer and the life were checked.
 */
public final class AccessToken {

  private final String kid;
  private final String jti;
  private final String agent;
  private final String workload;
  private final String issuer;
  private final String subject;
  private final String destination;
  private final Set<String> scopes;
  private final Instant issuedAt;
  private final Instant expiresAt;
  private final @Nullable String podUid;
  private final @Nullable String keyThumbprint;
  private final @Nullable String certificateThumbprint;

  AccessToken(AccessTokenClaims claims, String kid) {
    this.kid = kid;
    this.jti = claims.jti();
    this.agent = claims.agent();
    this.workload = claims.workload();
    this.issuer = claims.issuer();
    this.subject = claims.subject();
    this.destination = claims.destination();
    this.scopes = Set.copyOf(claims.scopes());
    this.issuedAt = claims.issuedAt();
    this.expiresAt = claims.expiresAt();
    this.podUid = claims.podUid();
    this.keyThumbprint = claims.keyThumbprint();
    this.certificateThumbprint = claims.certificateThumbprint();
  }

  /** The id of the key that signed it. */
  public String kid() {
    return kid;
  }

  /** Its id. */
  public String jti() {
    return jti;
  }

  /** The stop epoch in which it was issued: the part of the id before the dot. */
  public long epoch() {
    return AccessTokenClaims.epochOf(jti);
  }

  /** The agent's name ({@code client_id}). */
  public String agent() {
    return agent;
  }

  /** The stable workload URI ({@code sub}). */
  public String workload() {
    return workload;
  }

  /** The name of the registered issuer of the identity behind it. */
  public String issuer() {
    return issuer;
  }

  /** The subject of that identity at its issuer. */
  public String subject() {
    return subject;
  }

  /** The pod that it was issued to, if its platform told. */
  public @Nullable String podUid() {
    return podUid;
  }

  /** The only destination it is for. */
  public String destination() {
    return destination;
  }

  /** The scopes in it. */
  public Set<String> scopes() {
    return scopes;
  }

  /** When it was issued. */
  public Instant issuedAt() {
    return issuedAt;
  }

  /** When it ends. */
  public Instant expiresAt() {
    return expiresAt;
  }

  /**
   * The thumbprint of the key it is bound to (RFC 9449 section 6.1), or null if it is not bound so.
   */
  public @Nullable String keyThumbprint() {
    return keyThumbprint;
  }

  /**
   * The thumbprint of the certificate it is bound to (RFC 8705 section 3.1), or null if it is not
   * bound so.
   */
  public @Nullable String certificateThumbprint() {
    return certificateThumbprint;
  }

  @Override
  public String toString() {
    return "AccessToken[jti=" + jti + ", agent=" + agent + ", destination=" + destination + "]";
  }
}
