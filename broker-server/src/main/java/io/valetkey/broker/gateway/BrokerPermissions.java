package io.valetkey.broker.gateway;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.access.Use;
import io.valetkey.broker.access.UseDecision;
import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.token.AccessToken;
import io.valetkey.broker.token.AccessTokens;
import io.valetkey.broker.token.DpopProofs;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The broker's own answers: {@link AccessTokens} says who, {@link Access} says whether. */
public final class BrokerPermissions implements Permissions {

  private final AccessTokens tokens;
  private final DpopProofs proofs;
  private final CertificateCallers certificates;
  private final Access access;

  /** Asks these. */
  public BrokerPermissions(
      AccessTokens tokens, DpopProofs proofs, CertificateCallers certificates, Access access) {
    this.tokens = tokens;
    this.proofs = proofs;
    this.certificates = certificates;
    this.access = access;
  }

  @Override
  public Caller verify(String compact) {
    AccessToken token = tokens.verify(compact);
    return new Caller(
        token.jti(),
        token.kid(),
        token.epoch(),
        token.agent(),
        token.issuer(),
        token.subject(),
        token.destination(),
        token.scopes(),
        token.keyThumbprint(),
        token.certificateThumbprint());
  }

  @Override
  public CompletableFuture<Caller> identify(
      String thumbprint, Supplier<List<X509Certificate>> chain, String origin) {
    return certificates.of(thumbprint, chain, origin);
  }

  @Override
  public CompletableFuture<Void> prove(
      @Nullable String token, Caller caller, Possession possession) {
    String thumbprint = caller.keyThumbprint();
    boolean bound = thumbprint != null;
    if (bound != possession.announced() || possession.proofs().size() != (bound ? 1 : 0)) {
      return CompletableFuture.failedFuture(
          invalid("a bound token needs the scheme DPoP and one proof, any other token neither"));
    }
    String certificate = caller.certificateThumbprint();
    if (certificate != null && !certificate.equals(possession.certificate().get())) {
      return CompletableFuture.failedFuture(
          invalid("the token is bound to a certificate that is not this connection's"));
    }
    if (thumbprint == null) {
      return CompletableFuture.completedFuture(null);
    }
    String shown = Objects.requireNonNull(token);
    // The shared store of used proofs is a database: not on an event loop.
    return CompletableFuture.runAsync(
        () -> requireKey(thumbprint, shown, possession),
        task -> Thread.ofVirtual().name("dpop").start(task));
  }

  private void requireKey(String thumbprint, String token, Possession possession) {
    try {
      String proven =
          proofs.check(
              possession.proofs().getFirst(), possession.method(), possession.uri(), token);
      if (!proven.equals(thumbprint)) {
        throw invalid("the proof was made with another key");
      }
    } catch (RefusedException e) {
      throw e.code() == ProblemCode.INVALID_DPOP_PROOF ? invalid(e.detail()) : e;
    }
  }

  private static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.INVALID_TOKEN, detail);
  }

  @Override
  public @Nullable Manner atOrigin(String destination, String origin) {
    return access.atOrigin(destination, origin);
  }

  @Override
  public Answer authorise(
      Caller caller, String destination, String method, RequestPath path, RequestFacts facts) {
    Use use = new Use(holder(caller), destination, method, path, facts);
    return switch (access.decideUse(use)) {
      case Decision decision -> permit(granted(decision));
      case UseDecision.Incomplete more when more.part() == Part.BODY ->
          new BodyNeeded(more.destination(), more.mostBytes());
      case UseDecision.Incomplete more ->
          throw new RefusedException(
              ProblemCode.CONDITION_FAILED, more.rule() + " asks for the " + more.part().word());
    };
  }

  private static Permit permit(Decision.Granted granted) {
    return new Permit(
        Objects.requireNonNull(granted.rule()),
        granted.epoch(),
        granted.destination(),
        granted.meter(),
        granted.approval());
  }

  @Override
  public Destination authoriseInterception(Caller caller, String destination) {
    return granted(access.decideInterception(holder(caller), destination)).destination();
  }

  @Override
  public Permit authoriseTunnel(Caller caller, String destination) {
    return permit(granted(access.decideTunnel(holder(caller), destination)));
  }

  private Holder holder(Caller caller) {
    // Asked again now that the exchange can be found: a revocation may have come in between.
    if (caller.kid() != null) {
      tokens.requireKey(caller.kid());
    }
    return new Holder(
        caller.agent(),
        caller.issuer(),
        caller.subject(),
        caller.jti(),
        caller.tokenEpoch(),
        caller.destination(),
        caller.scopes());
  }

  static Decision.Granted granted(Decision decision) {
    return switch (decision) {
      case Decision.Granted granted -> granted;
      case Decision.Refused refused ->
          throw new RefusedException(refused.code(), refused.detail(), refused.retryAfterSeconds());
      case Decision.Undecidable unknown ->
          throw new RefusedException(unknown.code(), unknown.detail());
    };
  }

  @Override
  public boolean areCurrent() {
    return access.isCurrent();
  }
}
