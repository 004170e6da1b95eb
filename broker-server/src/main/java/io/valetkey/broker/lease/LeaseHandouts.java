package io.valetkey.broker.lease;

import io.valetkey.broker.access.Holder;
import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Handing out a lease, in PostgreSQL: from the intent to the active lease, and its longer life; or,
 * if it comes to nothing, giving it up to whoever ends leases ({@link LeaseEndings}).
 */
final class LeaseHandouts {

  private final LeaseSteps steps;

  LeaseHandouts(LeaseSteps steps) {
    this.steps = steps;
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
    steps.inTransaction(() -> {
      lock(holder.agent());
      UUID replaced = replace(holder.agent(), key);
      requireRoom(holder, scope, source, replaced);
      steps
          .sql(
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
    steps
        .sql("SELECT pg_advisory_xact_lock(hashtextextended('valetkey.lease.' || ?, 0))")
        .param(agent)
        .query((row, number) -> number)
        .list();
  }

  private @Nullable UUID replace(String agent, String key) {
    Optional<Boolean> underWay =
        steps
            .sql(
                "SELECT state <> 'active' AND deadline > now() FROM lease WHERE agent = ? AND"
                    + " idempotency_key = ? AND "
                    + LeaseSteps.LIVE
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
    return steps
        .sql(
            "UPDATE lease SET state = 'revoke_pending', revoke_at = now(), next_attempt_at ="
                + " now(), revoke_reason = 'replaced' WHERE agent = ? AND idempotency_key = ? AND "
                + LeaseSteps.LIVE
                + " RETURNING id")
        .params(agent, key)
        .query(UUID.class)
        .single();
  }

  /** What is not known to be gone counts; the one that this request replaces does not. */
  private void requireRoom(
      Holder holder, String scope, LeaseSource source, @Nullable UUID replaced) {
    long have =
        steps
            .sql(
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
    return steps.inTransaction(() ->
        steps
                .sql(
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
            steps
                .sql(
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
            steps
                .sql(
                    "UPDATE lease SET expires_at = greatest(expires_at, least(max_expires_at, now()"
                        + " + ? * interval '1 second')) WHERE id = ? AND state = 'active' RETURNING "
                        + LeaseRows.COLUMNS)
                .params(life.toSeconds(), id)
                .query(LeaseRows::read)
                .optional());
  }

  private Activation underEpoch(AuditRecord record, long epoch, Supplier<Optional<Lease>> change) {
    return steps.inTransaction(status -> {
      Optional<Lease> changed = change.get();
      if (changed.isEmpty()) {
        return new Activation.Ended();
      }
      if (!steps.writeUnder(epoch, record)) {
        status.setRollbackOnly();
        return new Activation.DecideAgain();
      }
      return new Activation.Active(changed.get());
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
    steps.inTransaction(() ->
        steps
            .sql(
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
}
