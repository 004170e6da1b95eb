package io.valetkey.broker.control;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How the admin API is reached and by whom.
 *
 * @param publicUrl our external URL, without a final slash
 * @param bootstrapTtl how long after the first start the bootstrap token works
 * @param oidc the provider that knows the admins; none if null
 */
public record AdminSettings(String publicUrl, Duration bootstrapTtl, @Nullable Oidc oidc) {

  /**
   * The identity provider of the admins.
   *
   * @param issuer the exact {@code iss}; its discovery document is read when it is first needed
   * @param audience what {@code aud} must contain; null if the admin API takes none of its tokens
   * @param roles the claim that says what somebody may do
   * @param jwksUri where the keys are; null to let discovery say
   */
  public record Oidc(
      String issuer, @Nullable String audience, RoleClaim roles, @Nullable String jwksUri) {}
}
