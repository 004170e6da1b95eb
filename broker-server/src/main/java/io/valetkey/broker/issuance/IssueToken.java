package io.valetkey.broker.issuance;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.TokenWish;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.audit.OpenRecord.Receipt;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.identity.VerifiedWorkload;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.signal.PodsSeen;
import io.valetkey.broker.telemetry.Trace;
import io.valetkey.broker.token.AccessTokenClaims;
import io.valetkey.broker.token.TokenMinter;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.jspecify.annotations.Nullable;

/**
 * Issues one access token: who is asking, may they have it, sign it, and let it go once its record
 * is durable.
 */
final class IssueToken {

  /** How often a decision is made again when stops keep coming in between. */
  private static final int ATTEMPTS = 5;

  /** How long to wait for this replica's view of stops to reach what the database has. */
  private static final Duration VIEW_PAUSE = Duration.ofMillis(20);

  private final IdentityVerifier identities;
  private final UsedOnce usedOnce;
  private final Access access;
  private final TokenMinter minter;
  private final AuditLog auditLog;
  private final PodsSeen pods;
  private final Clock clock;

  IssueToken(
      IdentityVerifier identities,
      UsedOnce usedOnce,
      Access access,
      TokenMinter minter,
      AuditLog auditLog,
      PodsSeen pods,
      Clock clock) {
    this.identities = identities;
    this.usedOnce = usedOnce;
    this.access = access;
    this.minter = minter;
    this.auditLog = auditLog;
    this.pods = pods;
    this.clock = clock;
  }

  /**
   * Issues the token that is asked for.
   *
   * @param keyThumbprint the key that the token is to be bound to (RFC 9449), if any
   * @throws RefusedException with the true reason, if it is not to be had
   */
  IssuedToken issue(
      TokenRequest request, @Nullable String keyThumbprint, OpenRecord record, Trace trace) {
    VerifiedWorkload workload = trace.step("identity", () -> identify(request));
    record.workload(workload.issuer(), workload.subject());
    if (workload.certificateThumbprint() != null) {
      record.detail("certificate", workload.certificateThumbprint());
    }
    var wish =
        new TokenWish(
            workload.issuer(),
            workload.subject(),
            workload.claims(),
            request.destination(),
            request.scopes());
    boolean claimed = false;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Decision.Granted granted = trace.step("decision", () -> require(access.decideToken(wish)));
      requireClientId(request, workload, granted.agent());
      if (!claimed) {
        // Last of all checks, so that nothing but a use uses an identity token up.
        trace.step("claim", () -> claim(workload));
        claimed = true;
      }
      AccessTokenClaims claims = claims(workload, granted, keyThumbprint);
      var receipt = note(record, granted, claims).granted(granted.epoch());
      SecretValue token = trace.step("mint", () -> minter.mint(claims));
      if (trace.step("record", () -> auditLog.await(receipt)) == Receipt.DURABLE) {
        pods.note(workload, granted.agent());
        long life = ChronoUnit.SECONDS.between(claims.issuedAt(), claims.expiresAt());
        return new IssuedToken(token, keyThumbprint != null, life, claims.scopes());
      }
      awaitNewerView();
    }
    throw new RefusedException(
        ProblemCode.STOPS_STALE, "Stops came faster than this replica could take them in");
  }

  private VerifiedWorkload identify(TokenRequest request) {
    SecretValue token = request.identityToken();
    return token == null
        ? identities.verify(request.certificates())
        : identities.verify(token.reveal());
  }

  private VerifiedWorkload claim(VerifiedWorkload workload) {
    usedOnce.claimIdentity(workload);
    return workload;
  }

  private static Decision.Granted require(Decision decision) {
    return switch (decision) {
      case Decision.Granted granted -> granted;
      case Decision.Refused refused -> throw new RefusedException(refused.code(), refused.detail());
      case Decision.Undecidable no -> throw new RefusedException(no.code(), no.detail());
    };
  }

  private static void requireClientId(
      TokenRequest request, VerifiedWorkload workload, String agent) {
    String clientId = request.clientId();
    if (request.way() == TokenRequest.Way.CLIENT_CERTIFICATE
        && !workload.subject().equals(clientId)) {
      throw new RefusedException(
          ProblemCode.AGENT_UNKNOWN, "The client_id is not the certificate's SPIFFE ID");
    }
    if (request.way() == TokenRequest.Way.CLIENT_CREDENTIALS
        && clientId != null
        && !clientId.equals(agent)
        && !clientId.equals(workload.subject())) {
      throw new RefusedException(
          ProblemCode.AGENT_UNKNOWN, "The client_id is neither the agent nor the subject");
    }
  }

  private AccessTokenClaims claims(
      VerifiedWorkload workload, Decision.Granted granted, @Nullable String keyThumbprint) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.SECONDS);
    Instant end = now.plus(granted.ttl());
    Instant identityEnd = workload.expiresAt().truncatedTo(ChronoUnit.SECONDS);
    if (identityEnd.isBefore(end)) {
      end = identityEnd;
    }
    if (!end.isAfter(now)) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "The identity token ends now");
    }
    return new AccessTokenClaims(
        AccessTokenClaims.newJti(granted.epoch()),
        granted.agent(),
        workload.workloadUri(),
        workload.issuer(),
        workload.subject(),
        workload.podUid(),
        granted.destination().name(),
        granted.scopes(),
        now,
        end,
        keyThumbprint,
        workload.certificateThumbprint());
  }

  private static OpenRecord note(
      OpenRecord record, Decision.Granted granted, AccessTokenClaims claims) {
    return record
        .agent(granted.agent())
        .destination(granted.destination().name())
        .scopes(String.join(" ", claims.scopes()))
        .jti(claims.jti())
        .detail("expires_at", claims.expiresAt().toString());
  }

  private static void awaitNewerView() {
    try {
      Thread.sleep(VIEW_PAUSE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
