package io.valetkey.broker.lease;

import io.valetkey.broker.access.Holder;
import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.ConnectionCallback;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionException;
import org.springframework.transaction.support.TransactionOperations;

/**
 * The steps of a lease in PostgreSQL. Each is one transaction, committed before the call to Vault
 * that it stands for, and each holds only from the state that it expects: whoever ended the lease
 * meanwhile has the last word. All times are the database's.
 */
final class LeaseStore {

  /** How long a replica that took a lease to end it is left alone with it. */
  private static final Duration CLAIM = Duration.ofSeconds(30);

  private static final String LIVE = "state IN ('intent', 'open', 'active')";
  private static final String ENDING = "state IN ('revoke_pending', 'irrevocable')";

  /** What may be ended now: not while its credential may be in the making. */
  private static final String DUE =
      LeaseRows.KNOWN
          + " AND "
          + ENDING
          + " AND next_attempt_at <= now() AND (settled OR token_accessor IS NULL OR deadline +"
          + " interval '25 seconds' < now())";

  private final JdbcTemplate template;
  private final JdbcClient jdbc;
  private final TransactionOperations transactions;

  LeaseStore(DataSource dataSource, TransactionOperations transactions) {
    this.template = new JdbcTemplate(dataSource);
    this.jdbc = JdbcClient.create(template);
    this.transactions = transactions;
  }

  /**
   * Step 1: records what is about to be asked for. A live lease with the same key is ended in the
   * same transaction: its answer may have been lost, and nobody can give it again.
   *
   * @param key a hash of the caller's idempotency key
   * @throws RefusedException {@link ProblemCode#CONFLICT} if a lease with this key is being handed
   *     out right now, {@link ProblemCode#LEASE_LIMIT} if the agent has all that it may have
   */
  void intend(UUID id, Holder holder, long epoch, String scope, String key, LeaseSource source) {
    inTransaction(() -> {
      lock(holder.agent());
      UUID replaced = replace(holder.agent(), key);
      requireRoom(holder, scope, source, replaced);
      jdbc.sql(
              "INSERT INTO lease (id, state, agent, issuer, subject, jti, epoch, destination,"
                  + " scope, idempotency_key, engine, mount, role, fixed, deadline,"
                  + " max_expires_at) VALUES (:id, 'intent', :agent, :issuer, :subject, :jti,"
                  + " :epoch, :destination, :scope, :key, :engine, :mount, :role, :fixed, now() +"
                  + " :patience * interval '1 second', now() + :maxTtl * interval '1 second')")
          .param("id", id)
          .param("agent", holder.agent())
          .param("issuer", holder.issuer())
          .param("subject", holder.subject())
          .param("jti", holder.jti())
          .param("epoch", epoch)
          .param("destination", holder.tokenDestination())
          .param("scope", scope)
          .param("key", key)
          .param("engine", source.engine().word())
          .param("mount", source.mount())
          .param("role", source.role())
          .param("fixed", source.fixed())
          .param("patience", LeaseSettings.PATIENCE.toSeconds())
          .param("maxTtl", source.maxTtl().toSeconds())
          .update();
      return true;
    });
  }

  /** One agent's requests wait for one another, so that a limit is one. */
  private void lock(String agent) {
    jdbc.sql("SELECT pg_advisory_xact_lock(hashtextextended('valetkey.lease.' || ?, 0))")
        .param(agent)
        .query((row, number) -> number)
        .list();
  }

  private @Nullable UUID replace(String agent, String key) {
    Optional<Boolean> underWay =
        jdbc.sql(
                "SELECT state <> 'active' AND deadline > now() FROM lease WHERE agent = ? AND"
                    + " idempotency_key = ? AND "
                    + LIVE
                    + " FOR UPDATE")
            .params(agent, key)
            .query(Boolean.class)
            .optional();
    if (underWay.isEmpty()) {
      return null;
    }
    if (underWay.get()) {
      throw new RefusedException(
          ProblemCode.CONFLICT, "A lease with this key is being handed out right now.");
    }
    return jdbc.sql(
            "UPDATE lease SET state = 'revoke_pending', revoke_at = now(), next_attempt_at ="
                + " now(), revoke_reason = 'replaced' WHERE agent = ? AND idempotency_key = ? AND "
                + LIVE
                + " RETURNING id")
        .params(agent, key)
        .query(UUID.class)
        .single();
  }

  /** What is not known to be gone counts; the one that this request replaces does not. */
  private void requireRoom(
      Holder holder, String scope, LeaseSource source, @Nullable UUID replaced) {
    long have =
        jdbc.sql(
                "SELECT count(*) FROM lease WHERE agent = :agent AND destination = :destination"
                    + " AND scope = :scope AND state <> 'revoked' AND id IS DISTINCT FROM"
                    + " CAST(:replaced AS uuid)")
            .param("agent", holder.agent())
            .param("destination", holder.tokenDestination())
            .param("scope", scope)
            .param("replaced", replaced)
            .query(Long.class)
            .single();
    if (have >= source.maxLive()) {
      throw new RefusedException(
          ProblemCode.LEASE_LIMIT,
          "The agent has " + have + " leases under this scope; it may have " + source.maxLive());
    }
  }

  /**
   * Step 3: the owner token exists.
   *
   * @return false if the lease was ended meanwhile
   */
  boolean open(UUID id, String accessor) {
    return inTransaction(() ->
        jdbc.sql(
                    "UPDATE lease SET state = 'open', token_accessor = ? WHERE id = ? AND state ="
                        + " 'intent' AND deadline > now()")
                .params(accessor, id)
                .update()
            == 1);
  }

  /** What became of step 5. */
  sealed interface Activation {
    /** The lease and its audit record are durable: the credential may leave. */
    record Active(Lease lease) implements Activation {}

    /** A stop came since the decision: nothing was changed, decide again. */
    record DecideAgain() implements Activation {}

    /** It was ended meanwhile. */
    record Ended() implements Activation {}
  }

  /** Step 5: the credential exists. The lease becomes active together with its audit record. */
  Activation activate(
      UUID id, VaultCredential credential, Duration life, long epoch, AuditRecord record) {
    return underEpoch(
        record,
        epoch,
        () ->
            jdbc.sql(
                    "UPDATE lease SET state = 'active', settled = true, vault_lease_id ="
                        + " :vaultLeaseId, renewable = :renewable, revocable = :revocable, epoch = :epoch, expires_at ="
                        + " least(max_expires_at, now() + :life * interval '1 second') WHERE id ="
                        + " :id AND state = 'open' AND deadline > now() RETURNING "
                        + LeaseRows.COLUMNS)
                .param("vaultLeaseId", credential.leaseId())
                .param("renewable", credential.renewable())
                .param("revocable", credential.revocable())
                .param("epoch", epoch)
                .param("life", life.toSeconds())
                .param("id", id)
                .query(LeaseRows::read)
                .optional());
  }

  /**
   * Makes an active lease live longer, together with its audit record. Its own epoch stays: a stop
   * from before this renewal still means it.
   */
  Activation extend(UUID id, Duration life, long epoch, AuditRecord record) {
    return underEpoch(
        record,
        epoch,
        () ->
            jdbc.sql(
                    "UPDATE lease SET expires_at = greatest(expires_at, least(max_expires_at, now()"
                        + " + ? * interval '1 second')) WHERE id = ? AND state = 'active' RETURNING "
                        + LeaseRows.COLUMNS)
                .params(life.toSeconds(), id)
                .query(LeaseRows::read)
                .optional());
  }

  private Activation underEpoch(AuditRecord record, long epoch, Supplier<Optional<Lease>> change) {
    try {
      return transactions.execute(status -> {
        Optional<Lease> changed = change.get();
        if (changed.isEmpty()) {
          return new Activation.Ended();
        }
        boolean recorded =
            Boolean.TRUE.equals(
                template.execute(
                    (ConnectionCallback<Boolean>)
                        connection -> TransactionalAudit.recordUnder(connection, record, epoch)));
        if (!recorded) {
          status.setRollbackOnly();
          return new Activation.DecideAgain();
        }
        return new Activation.Active(changed.get());
      });
    } catch (DataAccessException | TransactionException e) {
      throw unavailable(e);
    }
  }

  /**
   * Orders the end of a live lease, durably; whoever ends leases does the rest.
   *
   * @return whether it was live
   */
  boolean requestEnd(UUID id, EndReason reason) {
    return inTransaction(() ->
        jdbc.sql(
                    "UPDATE lease SET state = 'revoke_pending', revoke_at = now(),"
                        + " next_attempt_at = now(), revoke_reason = ? WHERE id = ? AND "
                        + LIVE)
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
    return inTransaction(() -> {
      Optional<Lease> claimed =
          jdbc.sql(
                  "UPDATE lease SET state = 'revoke_pending', revoke_at = now(), revoke_reason = ?,"
                      + " attempts = attempts + 1, next_attempt_at = now() + ? * interval '1"
                      + " second' WHERE id = ? AND state = 'active' RETURNING "
                      + LeaseRows.COLUMNS)
              .params(reason.word(), CLAIM.toSeconds(), id)
              .query(LeaseRows::read)
              .optional();
      if (claimed.isPresent()) {
        write(record);
      }
      return claimed;
    });
  }

  /**
   * Gives a lease up that was being handed out, whatever became of it meanwhile: even one that was
   * taken for gone has to be ended if there is a credential after all.
   *
   * @param made the credential that was made; null if none is known
   * @param settled whether nothing can be made any more in its name
   */
  void abandon(UUID id, @Nullable VaultCredential made, boolean settled) {
    inTransaction(() ->
        jdbc.sql(
                "UPDATE lease SET state = 'revoke_pending', ended_at = NULL, vault_lease_id ="
                    + " CAST(:vaultLeaseId AS text), revocable = :revocable, expires_at ="
                    + " coalesce(expires_at, now() + CAST(:life AS bigint) * interval '1 second'),"
                    + " settled = :settled, revoke_at = coalesce(revoke_at, now()), revoke_reason ="
                    + " coalesce(revoke_reason, 'abandoned'), next_attempt_at = now() WHERE id ="
                    + " :id AND (state <> 'revoked' OR CAST(:vaultLeaseId AS text) IS NOT NULL)")
            .param("vaultLeaseId", made == null ? null : made.leaseId())
            .param("revocable", made == null || made.revocable())
            .param("life", made == null || made.leaseId() == null ? null : made.life().toSeconds())
            .param("settled", settled)
            .param("id", id)
            .update());
  }

  /** Orders the end of what has expired and of what was never handed out to its end. */
  int requestOverdue() {
    return inTransaction(() ->
        jdbc.sql(
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
    return inTransaction(() -> {
      List<Lease> late =
          jdbc.sql(
                  "UPDATE lease SET state = 'irrevocable' WHERE state = 'revoke_pending' AND"
                      + " revoke_at + ? * interval '1 second' <= now() RETURNING "
                      + LeaseRows.COLUMNS)
              .param(bound.toSeconds())
              .query(LeaseRows::read)
              .list();
      late.forEach(lease -> write(alarm.apply(lease)));
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
    return inTransaction(() ->
        jdbc.sql(
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
    return inTransaction(() -> {
      boolean ended =
          asClaimed(
                      claimed,
                      "UPDATE lease SET state = 'revoked', ended_at = now(), last_error = NULL")
                  .update()
              == 1;
      if (ended) {
        write(record);
      }
      return ended;
    });
  }

  /** It is not known to be gone, and is tried again after the pause. */
  void notEnded(Lease claimed, String error, Duration pause) {
    inTransaction(() ->
        asClaimed(
                claimed,
                "UPDATE lease SET last_error = :error, next_attempt_at = now() + :pause * interval"
                    + " '1 millisecond'")
            .param("error", error)
            .param("pause", pause.toMillis())
            .update());
  }

  private JdbcClient.StatementSpec asClaimed(Lease claimed, String change) {
    return jdbc.sql(
            change
                + " WHERE id = :id AND attempts = :attempts AND vault_lease_id IS NOT DISTINCT FROM"
                + " CAST(:vaultLeaseId AS text) AND "
                + ENDING)
        .param("id", claimed.id())
        .param("attempts", claimed.attempts())
        .param("vaultLeaseId", claimed.vaultLeaseId());
  }

  private void write(AuditRecord record) {
    template.execute(
        (ConnectionCallback<Boolean>)
            connection -> {
              TransactionalAudit.record(connection, record);
              return true;
            });
  }

  private <T> T inTransaction(Supplier<T> work) {
    try {
      return transactions.execute(status -> work.get());
    } catch (DataAccessException | TransactionException e) {
      throw unavailable(e);
    }
  }

  static RefusedException unavailable(RuntimeException e) {
    return new RefusedException(
        ProblemCode.TEMPORARILY_UNAVAILABLE,
        "The database did not take the lease: " + e.getClass().getSimpleName());
  }
}
