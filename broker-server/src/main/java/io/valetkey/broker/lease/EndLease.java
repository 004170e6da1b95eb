package io.valetkey.broker.lease;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.problem.ProblemCode;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One try to end one lease that was claimed for it. Vault gives up after six tries; we do not: the
 * pause between tries grows to half a minute and stays there until the lease is gone, and what
 * takes longer than the bound is an alarm.
 */
final class EndLease {

  private static final Logger log = LoggerFactory.getLogger(EndLease.class);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

  private final LeaseEndings endings;
  private final LeaseVault vault;
  private final Duration bound;
  private final Clock clock;

  EndLease(LeaseEndings endings, LeaseVault vault, Duration bound, Clock clock) {
    this.endings = endings;
    this.vault = vault;
    this.bound = bound;
    this.clock = clock;
  }

  /**
   * Takes this one and tries, if it must be ended and nobody works on it.
   *
   * @return whether it is gone by that
   */
  boolean attempt(UUID id) {
    return endings.claim(id).map(this::attempt).orElse(false);
  }

  /**
   * Tries, and records what came of it.
   *
   * @return whether it is gone
   */
  boolean attempt(Lease lease) {
    return switch (vault.end(lease)) {
      case LeaseVault.Ending.Gone() -> endings.ended(lease, gone(lease));
      case LeaseVault.Ending.NotPossible(String why) -> {
        // Nothing is to be tried before its own end.
        Instant end = lease.expiresAt();
        Duration rest = end == null ? LONGEST_PAUSE : Duration.between(clock.instant(), end);
        endings.notEnded(lease, why, atLeastASecond(rest));
        yield false;
      }
      case LeaseVault.Ending.Failed(String why) -> {
        log.warn("Lease {} could not be ended, attempt {}: {}", lease.id(), lease.attempts(), why);
        endings.notEnded(lease, why, pause(lease.attempts()));
        yield false;
      }
    };
  }

  private static Duration atLeastASecond(Duration pause) {
    return pause.compareTo(Duration.ofSeconds(1)) < 0 ? Duration.ofSeconds(1) : pause;
  }

  /** 1, 2, 4, 8, 16 seconds, then half a minute. */
  static Duration pause(int attempts) {
    Duration pause = Duration.ofSeconds(1L << Math.min(Math.max(attempts - 1, 0), 5));
    return pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
  }

  /** What Vault has lost may still be at the target: its end is no success of ours. */
  private AuditRecord gone(Lease lease) {
    boolean lost = EndReason.LOST.word().equals(lease.revokeReason());
    return lost
        ? record(
            "lease.end",
            Outcome.FAILED,
            ProblemCode.CREDENTIAL_UNAVAILABLE,
            lease,
            "Vault had lost it: look at the target whether the credential still works there")
        : record("lease.end", Outcome.GRANTED, null, lease, null);
  }

  /** Says of every lease that is late that it is irrevocable. */
  void raiseAlarms() {
    for (Lease lease : endings.raiseAlarms(bound, this::alarm)) {
      log.error(
          "Lease {} of {} could not be taken back within {}: {}",
          lease.id(),
          lease.destination(),
          bound,
          lease.lastError());
    }
  }

  private AuditRecord alarm(Lease lease) {
    return record(
        "lease.irrevocable",
        Outcome.FAILED,
        ProblemCode.CREDENTIAL_UNAVAILABLE,
        lease,
        lease.lastError());
  }

  private AuditRecord record(
      String action,
      Outcome outcome,
      @Nullable ProblemCode code,
      Lease lease,
      @Nullable String why) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    Map<String, Object> details = new LinkedHashMap<>();
    details.put("lease", lease.id().toString());
    details.put("attempts", lease.attempts());
    if (lease.revokeReason() != null) {
      details.put("reason", lease.revokeReason());
    }
    if (why != null) {
      details.put("detail", why);
    }
    return new AuditRecord(
        now,
        DecisionId.at(now),
        action,
        outcome,
        code == null ? null : code.code(),
        lease.agent(),
        lease.issuer(),
        lease.subject(),
        lease.destination(),
        lease.scope(),
        lease.jti(),
        details);
  }
}
