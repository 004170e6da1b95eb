package io.valetkey.broker.lease;

import io.valetkey.broker.audit.AuditRecord;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * Ending a lease, in PostgreSQL: the order, the claim of the replica that carries it out, and what
 * became of it.
 */
final class LeaseEndings {

  /** How long a replica that took a lease to end it is left alone with it. */
  private static final Duration CLAIM = Duration.ofSeconds(30);

  private static final String ENDING = "state IN ('revoke_pending', 'irrevocable')";

  /** What may be ended now: not while its credential may be in the making. */
  private static final String DUE =
      LeaseRows.KNOWN
          + " AND "
          + ENDING
          + " AND next_attempt_at <= now() AND (settled OR token_accessor IS NULL OR deadline +"
          + " interval '25 seconds' < now())";

  private final LeaseSteps steps;

  LeaseEndings(LeaseSteps steps) {
    this.steps = steps;
  }

  /**
   * Orders the end of a live lease, durably; whoever ends leases does the rest.
   *
   * @return whether it was live
   */
  boolean requestEnd(UUID id, EndReason reason) {
    return steps.inTransaction(() ->
        steps
                .sql(
                    "UPDATE lease SET state = 'revoke_pending', revoke_at = now(),"
                        + " next_attempt_at = now(), revoke_reason = ? WHERE id = ? AND "
                        + LeaseSteps.LIVE)
                .params(reason.word(), id)
                .update()
            == 1);
  }

  /**
   * Orders the end of an active lease and takes it, for whoever ends it at once.
   *
   * @return what was taken; empty if it was not active
   */
  Optional<Lease> requestAndClaim(UUID id, EndReason reason, AuditRecord record) {
    return steps.inTransaction(() -> {
      Optional<Lease> claimed =
          steps
              .sql(
                  "UPDATE lease SET state = 'revoke_pending', revoke_at = now(), revoke_reason = ?,"
                      + " attempts = attempts + 1, next_attempt_at = now() + ? * interval '1"
                      + " second' WHERE id = ? AND state = 'active' RETURNING "
                      + LeaseRows.COLUMNS)
              .params(reason.word(), CLAIM.toSeconds(), id)
              .query(LeaseRows::read)
              .optional();
      if (claimed.isPresent()) {
        steps.write(record);
      }
      return claimed;
    });
  }

  /** Orders the end of what has expired and of what was never handed out to its end. */
  int requestOverdue() {
    return steps.inTransaction(() ->
        steps
            .sql(
                "UPDATE lease SET state = 'revoke_pending', revoke_at = now(), next_attempt_at ="
                    + " now(), revoke_reason = CASE state WHEN 'active' THEN 'expired' ELSE"
                    + " 'abandoned' END WHERE (state = 'active' AND expires_at <= now()) OR (state"
                    + " IN ('intent', 'open') AND deadline <= now())")
            .update());
  }

  /**
   * Says of leases that must be gone for longer than the bound, and are not known to be, that they
   * are irrevocable: whether or not anybody has got to them yet.
   *
   * @return those of which it was not said before
   */
  List<Lease> raiseAlarms(Duration bound, Function<Lease, AuditRecord> alarm) {
    return steps.inTransaction(() -> {
      List<Lease> late =
          steps
              .sql(
                  "UPDATE lease SET state = 'irrevocable' WHERE state = 'revoke_pending' AND"
                      + " revoke_at + ? * interval '1 second' <= now() RETURNING "
                      + LeaseRows.COLUMNS)
              .param(bound.toSeconds())
              .query(LeaseRows::read)
              .list();
      late.forEach(lease -> steps.write(alarm.apply(lease)));
      return late;
    });
  }

  /**
   * Takes leases that must be ended, those first that were tried least, so that no other replica
   * works on them at the same time. A replica that dies with them gives them back by itself.
   */
  List<Lease> claim(int limit) {
    return claimWhere(
        "SELECT id FROM lease WHERE "
            + DUE
            + " ORDER BY attempts, next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED",
        limit);
  }

  /** Takes one lease, if it must be ended and nobody works on it. */
  Optional<Lease> claim(UUID id) {
    return claimWhere(
            "SELECT id FROM lease WHERE " + DUE + " AND id = ? FOR UPDATE SKIP LOCKED", id)
        .stream()
        .findFirst();
  }

  private List<Lease> claimWhere(String which, Object parameter) {
    return steps.inTransaction(() ->
        steps
            .sql(
                "UPDATE lease SET attempts = attempts + 1, next_attempt_at = now() + ? * interval"
                    + " '1 second' WHERE id IN ("
                    + which
                    + ") RETURNING "
                    + LeaseRows.COLUMNS)
            .params(CLAIM.toSeconds(), parameter)
            .query(LeaseRows::read)
            .list());
  }

  /**
   * It is gone: what was claimed, as it was then. If something has been learnt about it since, such
   * as a credential that nobody knew of, it is not.
   */
  boolean ended(Lease claimed, AuditRecord record) {
    return steps.inTransaction(() -> {
      boolean ended =
          asClaimed(
                      claimed,
                      "UPDATE lease SET state = 'revoked', ended_at = now(), last_error = NULL")
                  .update()
              == 1;
      if (ended) {
        steps.write(record);
      }
      return ended;
    });
  }

  /** It is not known to be gone, and is tried again after the pause. */
  void notEnded(Lease claimed, String error, Duration pause) {
    steps.inTransaction(() ->
        asClaimed(
                claimed,
                "UPDATE lease SET last_error = :error, next_attempt_at = now() + :pause * interval"
                    + " '1 millisecond'")
            .param("error", error)
            .param("pause", pause.toMillis())
            .update());
  }

  private JdbcClient.StatementSpec asClaimed(Lease claimed, String change) {
    return steps
        .sql(
            change
                + " WHERE id = :id AND attempts = :attempts AND vault_lease_id IS NOT DISTINCT FROM"
                + " CAST(:vaultLeaseId AS text) AND "
                + ENDING)
        .param("id", claimed.id())
        .param("attempts", claimed.attempts())
        .param("vaultLeaseId", claimed.vaultLeaseId());
  }
}
