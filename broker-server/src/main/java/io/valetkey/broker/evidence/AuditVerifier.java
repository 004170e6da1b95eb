package io.valetkey.broker.evidence;

import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import io.valetkey.broker.evidence.AuditVerification.Trust;
import io.valetkey.broker.feed.Connections;
import java.security.PublicKey;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Verifies the audit trail: each record against the hash in its seal, each seal against the one
 * before, all seals against the signed checkpoints, and the checkpoints against those that are
 * known from elsewhere.
 */
public final class AuditVerifier {

  /** After so many findings nobody needs another one. */
  public static final int MOST_FINDINGS = 100;

  private final Connections connections;
  private final @Nullable PublicKey trusted;
  private final Supplier<List<CheckpointRef>> known;
  private final Duration most;

  /**
   * @param trusted the key that must have signed every checkpoint; null to take those that the
   *     checkpoints bring along
   * @param known checkpoints that the database must hold
   * @param most how long one verification takes at most
   */
  public AuditVerifier(
      Connections connections,
      @Nullable PublicKey trusted,
      Supplier<List<CheckpointRef>> known,
      Duration most) {
    this.connections = connections;
    this.trusted = trusted;
    this.known = known;
    this.most = most;
  }

  /**
   * Verifies what was written in a time. Whole checkpoints are verified, so a little more than was
   * asked for.
   *
   * @param since from this time on; null for the beginning
   * @param until before this time; null for up to now
   * @throws SQLException if the database does not answer
   */
  public AuditVerification verify(@Nullable Instant since, @Nullable Instant until)
      throws SQLException {
    try (Connection connection = connections.open()) {
      connection.setAutoCommit(false);
      connection.setReadOnly(true);
      connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      Trust trust = trusted == null ? Trust.KEYS_OF_THE_TRAIL : Trust.CONFIGURED_KEY;
      long deadline = System.nanoTime() + most.toNanos();
      var walk = new TrailWalk(new EvidenceStore(connection), trusted, deadline);
      return walk.verify(since, until, known.get(), trust);
    }
  }
}
