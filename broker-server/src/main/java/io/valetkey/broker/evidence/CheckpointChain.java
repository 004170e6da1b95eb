package io.valetkey.broker.evidence;

import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import io.valetkey.broker.evidence.Checkpoint.Dropped;
import io.valetkey.broker.evidence.Finding.Kind;
import java.security.PublicKey;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Follows the checkpoints by their numbers. Nothing counts but what a trusted key signed, or what
 * such a checkpoint names by its hash: so a checkpoint by a former key is as good as the one that
 * goes on from it.
 */
final class CheckpointChain {

  private final EvidenceStore store;
  private final @Nullable PublicKey trusted;
  private final Consumer<Finding> findings;
  private final List<String> waiting = new ArrayList<>();
  private @Nullable Checkpoint latest;
  private @Nullable StoredCheckpoint last;
  private @Nullable Checkpoint lastStatement;
  private @Nullable CheckpointRef reached;
  private long upto;
  private long checked;

  CheckpointChain(EvidenceStore store, @Nullable PublicKey trusted, Consumer<Finding> findings) {
    this.store = store;
    this.trusted = trusted;
    this.findings = findings;
  }

  /** Reads again what the youngest checkpoint says of what was dropped. */
  void refresh() throws SQLException {
    StoredCheckpoint stored = store.latest();
    latest = stored == null ? null : trusted(stored);
  }

  private @Nullable Checkpoint trusted(StoredCheckpoint stored) {
    Checkpoint statement = stored.statement();
    return statement != null && stored.signed().isSignedBy(trusted) ? statement : null;
  }

  /** What is gone on purpose; null if nothing is, or nobody signed it. */
  @Nullable Dropped dropped() {
    return latest == null ? null : latest.dropped();
  }

  /** Since when records have evidence, as it is signed; the beginning of time if it is not. */
  Instant sealedSince() throws SQLException {
    if (latest != null) {
      return latest.sealedSince();
    }
    return store.latest() == null ? store.sealedSince() : Instant.EPOCH;
  }

  private long first() {
    Dropped dropped = dropped();
    return dropped == null ? 1 : dropped.checkpoint() + 1;
  }

  /** Begins behind the last checkpoint that a trusted key dates before this time. */
  void begin(Instant from) throws SQLException {
    Dropped dropped = dropped();
    upto = dropped == null ? 0 : dropped.upto();
    for (StoredCheckpoint stored : store.checkpoints(Long.MIN_VALUE, 1)) {
      if (stored.number() < first()) {
        find(Kind.CHECKPOINT_FORGED, "checkpoint " + stored.number(), "No such number was given.");
      }
    }
    StoredCheckpoint youngest = store.latest();
    long low = first();
    long high = youngest == null ? 0 : youngest.number();
    while (low <= high) {
      long middle = low + (high - low) / 2;
      StoredCheckpoint probe = store.checkpoint(middle);
      Checkpoint statement = probe == null ? null : trusted(probe);
      if (statement == null || statement.time().isBefore(from)) {
        low = middle + 1;
        if (probe != null && statement != null) {
          last = probe;
          lastStatement = statement;
        }
      } else {
        high = middle - 1;
      }
    }
    if (last != null && lastStatement != null) {
      checked++;
      reach(last, lastStatement);
    }
  }

  /** The number with which to go on. */
  long next() {
    return last == null ? first() : last.number() + 1;
  }

  /** Whether retention has taken this one since it was read. */
  boolean isGone(StoredCheckpoint stored) {
    if (stored.number() >= first()) {
      return false;
    }
    last = null;
    lastStatement = null;
    return true;
  }

  /** What the next checkpoint states; null, and a finding, if that is worth nothing. */
  @Nullable Checkpoint check(StoredCheckpoint stored) {
    String place = "checkpoint " + stored.number();
    Checkpoint statement = stored.statement();
    if (statement != null && !stored.signed().isSignedByItsOwnKey()) {
      statement = null;
    }
    boolean follows = statement != null && follows(stored, statement, place);
    if (!follows) {
      accuseWaiting();
    }
    last = stored;
    lastStatement = statement;
    if (statement == null) {
      accuse(place);
      return null;
    }
    checked++;
    waiting.add(place);
    if (trusted(stored) != null) {
      waiting.clear();
    }
    return statement;
  }

  private boolean follows(StoredCheckpoint stored, Checkpoint statement, String place) {
    Dropped dropped = dropped();
    long expected = next();
    String previous = dropped == null ? null : dropped.hash();
    long after = dropped == null ? 0 : dropped.upto();
    if (last != null) {
      previous = last.signed().hash();
      after = lastStatement == null ? statement.after() : lastStatement.upto();
    }
    if (stored.number() > expected) {
      find(
          Kind.CHECKPOINT_REMOVED,
          expected + 1 == stored.number()
              ? "checkpoint " + expected
              : "checkpoint " + expected + " to " + (stored.number() - 1),
          "Checkpoint " + stored.number() + " is there and this is not.");
    } else if (previous == null
        ? statement.previous() != null
        : !previous.equals(statement.previous())) {
      find(Kind.CHECKPOINT_FORGED, place, "It does not follow from the checkpoint before.");
    } else if (statement.after() != after) {
      find(Kind.CHECKPOINT_FORGED, place, "It does not begin where the checkpoint before ends.");
    } else {
      return true;
    }
    return false;
  }

  /** All seals of the checkpoint that was checked last were read. */
  void walked() {
    if (last != null && lastStatement != null && waiting.isEmpty()) {
      reach(last, lastStatement);
    }
  }

  private void reach(StoredCheckpoint stored, Checkpoint statement) {
    reached = new CheckpointRef(stored.number(), statement.time(), stored.signed().hash());
    upto = statement.upto();
  }

  /** Whether a trusted checkpoint of a later time was reached. */
  boolean isBehind(Instant time) {
    return reached != null && reached.time().isAfter(time) && waiting.isEmpty();
  }

  /** There are no more: whoever still waits for a trusted signature does not get one. */
  void end() {
    accuseWaiting();
  }

  private void accuseWaiting() {
    waiting.forEach(this::accuse);
    waiting.clear();
  }

  private void accuse(String place) {
    find(
        Kind.CHECKPOINT_FORGED,
        place,
        "It is not what the key signs that signs checkpoints, or its columns say something else.");
  }

  /** The last one that is as good as signed by a trusted key; null if there was none. */
  @Nullable CheckpointRef reached() {
    return reached;
  }

  /** The position up to which seals are signed. */
  long upto() {
    return upto;
  }

  /** How many were checked. */
  long checked() {
    return checked;
  }

  private void find(Kind kind, String place, String detail) {
    findings.accept(new Finding(kind, place, detail));
  }
}
