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

  private final LeaseStore store;
  private final LeaseVault vault;
  private final Duration bound;
  private final Clock clock;

  EndLease(LeaseStore store, LeaseVault vault, Duration bound, Clock clock) {
    this.store = store;
    this.vault = vault;
    this.bound = bound;
    this.clock = clock;
  }

  /**
   * Tries, and records what came of it.
   *
   * @return whether it is gone
   */
  boolean attempt(Lease lease) {
    Instant end = lease.expiresAt();
    boolean expired = end != null && !clock.instant().isBefore(end);
    return switch (vault.end(lease, expired)) {
      case LeaseVault.Ending.Gone() -> {
        var _ = store.ended(lease.id(), record("lease.end", Outcome.GRANTED, null, lease, null));
        yield true;
      }
      case LeaseVault.Ending.NotPossible(String why) -> {
        // Nothing is to be tried before its own end.
        Duration rest = end == null ? LONGEST_PAUSE : Duration.between(clock.instant(), end);
        store.notEnded(lease.id(), why, least(rest.plusSeconds(1)), alarm(lease, why));
        yield false;
      }
      case LeaseVault.Ending.Failed(String why) -> {
        boolean overdue = isOverdue(lease);
        log.warn("Lease {} could not be ended, attempt {}: {}", lease.id(), lease.attempts(), why);
        store.notEnded(
            lease.id(), why, pause(lease.attempts()), overdue ? alarm(lease, why) : null);
        yield false;
      }
    };
  }

  private static Duration least(Duration pause) {
    return pause.compareTo(Duration.ofSeconds(1)) < 0 ? Duration.ofSeconds(1) : pause;
  }

  /** 1, 2, 4, 8, 16 seconds, then half a minute. */
  static Duration pause(int attempts) {
    Duration pause = Duration.ofSeconds(1L << Math.min(Math.max(attempts - 1, 0), 5));
    return pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
  }

  /** Whether the next try would come after the bound: the alarm must not wait for it. */
  private boolean isOverdue(Lease lease) {
    Instant since = lease.revokeAt();
    return since != null
        && clock.instant().plus(pause(lease.attempts())).isAfter(since.plus(bound));
  }

  private AuditRecord alarm(Lease lease, String why) {
    return record(
        "lease.irrevocable", Outcome.FAILED, ProblemCode.CREDENTIAL_UNAVAILABLE, lease, why);
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
