package io.valetkey.broker.gateway;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Use;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.token.AccessToken;
import io.valetkey.broker.token.AccessTokens;
import java.util.Objects;

/** The broker's own answers: {@link AccessTokens} says who, {@link Access} says whether. */
public final class BrokerPermissions implements Permissions {

  private final AccessTokens tokens;
  private final Access access;

  /** Asks these two. */
  public BrokerPermissions(AccessTokens tokens, Access access) {
    this.tokens = tokens;
    this.access = access;
  }

  @Override
  public Caller verify(String compact) {
    AccessToken token = tokens.verify(compact);
    if (token.keyThumbprint() != null) {
      // RFC 9449 section 7.1: a bound token without its proof is not a bearer token.
      throw new RefusedException(ProblemCode.INVALID_TOKEN, "a bound token came without a proof");
    }
    return new Caller(
        token.jti(),
        token.epoch(),
        token.agent(),
        token.issuer(),
        token.subject(),
        token.destination(),
        token.scopes());
  }

  @Override
  public Permit authorise(Caller caller, String destination, String method, RequestPath path) {
    Use use =
        new Use(
            caller.agent(),
            caller.issuer(),
            caller.subject(),
            caller.jti(),
            caller.tokenEpoch(),
            caller.destination(),
            caller.scopes(),
            destination,
            method,
            path);
    return switch (access.decideUse(use)) {
      case Decision.Granted granted ->
          new Permit(
              Objects.requireNonNull(granted.rule()), granted.epoch(), granted.destination());
      case Decision.Refused refused -> throw new RefusedException(refused.code(), refused.detail());
      case Decision.Undecidable unknown ->
          throw new RefusedException(unknown.code(), unknown.detail());
    };
  }
}
