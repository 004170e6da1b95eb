package io.valetkey.broker.evidence;

import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import io.valetkey.broker.evidence.AuditVerification.Outcome;
import io.valetkey.broker.evidence.AuditVerification.Trust;
import io.valetkey.broker.evidence.Checkpoint.Dropped;
import io.valetkey.broker.evidence.Checkpoint.Head;
import io.valetkey.broker.evidence.EvidenceStore.LinkedSeal;
import io.valetkey.broker.evidence.EvidenceStore.Place;
import io.valetkey.broker.evidence.EvidenceStore.PlacedRow;
import io.valetkey.broker.evidence.EvidenceStore.StoredCheckpoint;
import io.valetkey.broker.evidence.Finding.Kind;
import java.security.PublicKey;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One verification, once: from checkpoint to checkpoint, then the tail, then the other way round.
 */
final class TrailWalk {

  /** So many seals at a time, of up to 512 records each. */
  private static final int SEALS = 64;

  private final EvidenceStore store;
  private final @Nullable PublicKey trusted;
  private final long deadlineNanos;
  private final List<Finding> findings = new ArrayList<>();
  private Instant droppedBefore = Instant.MIN;
  private long droppedUpto;
  private @Nullable Dropped dropped;
  private long records;
  private long checkpoints;
  private @Nullable StoredCheckpoint last;
  private @Nullable Checkpoint lastStatement;

  TrailWalk(EvidenceStore store, @Nullable PublicKey trusted, long deadlineNanos) {
    this.store = store;
    this.trusted = trusted;
    this.deadlineNanos = deadlineNanos;
  }

  AuditVerification verify(
      @Nullable Instant since, @Nullable Instant until, List<CheckpointRef> known, Trust trust)
      throws SQLException {
    Instant end = Instant.now();
    Instant to = until == null || until.isAfter(end) ? end : until;
    readDropped();
    Instant from = beginning(since);
    checkKnown(known);
    boolean whole = walkCheckpoints(from, to) && (to.isBefore(end) || walkTail());
    Instant reached = whole ? to : lastTime(from);
    Instant scanned = scanForInserted(from, reached);
    boolean complete = whole && !scanned.isBefore(reached);
    Outcome outcome = complete ? Outcome.SOUND : Outcome.INCOMPLETE;
    return new AuditVerification(
        findings.isEmpty() ? outcome : Outcome.TAMPERED,
        from,
        scanned,
        records,
        checkpoints,
        last == null ? null : new CheckpointRef(last.number(), last.madeAt(), last.signed().hash()),
        trust,
        findings);
  }

  private Instant lastTime(Instant from) {
    return last == null || last.madeAt().isBefore(from) ? from : last.madeAt();
  }

  /** What was dropped on purpose is said by the youngest checkpoint, under its signature. */
  private void readDropped() throws SQLException {
    StoredCheckpoint latest = store.latest();
    Checkpoint statement = latest == null ? null : latest.signed().statement();
    if (latest != null && statement != null && isSigned(latest.signed())) {
      dropped = statement.dropped();
      if (dropped != null) {
        droppedBefore = dropped.before();
        droppedUpto = dropped.upto();
      }
    }
  }

  private Instant beginning(@Nullable Instant since) throws SQLException {
    Instant sealed = store.sealedSince();
    List<StoredCheckpoint> first = store.checkpoints(0);
    Checkpoint statement = first.isEmpty() ? null : first.getFirst().signed().statement();
    Instant begun = statement == null ? sealed : statement.sealedSince();
    begun = droppedBefore.isAfter(begun) ? droppedBefore : begun;
    return since == null || since.isBefore(begun) ? begun : since;
  }

  private void checkKnown(List<CheckpointRef> known) throws SQLException {
    for (CheckpointRef ref : known) {
      if (!Checkpoints.holds(store, ref)) {
        find(
            Kind.ROLLED_BACK,
            "checkpoint " + ref.number(),
            "This checkpoint of " + ref.time() + " was seen before and is not in the database.");
      }
    }
  }

  private boolean walkCheckpoints(Instant from, Instant to) throws SQLException {
    long first = store.firstCheckpointSince(from);
    long next = Math.max(1, first - 1);
    if (first > 1) {
      last = store.checkpoint(first - 1);
      lastStatement = last == null ? null : last.signed().statement();
      next = first;
    }
    if (first == 0) {
      last = store.latest();
      lastStatement = last == null ? null : last.signed().statement();
      return true;
    }
    List<StoredCheckpoint> page = store.checkpoints(next);
    while (!page.isEmpty()) {
      for (StoredCheckpoint checkpoint : page) {
        if (late()) {
          return false;
        }
        if (last != null && last.madeAt().isAfter(to)) {
          return true;
        }
        if (!checkCheckpoint(checkpoint)) {
          return false;
        }
      }
      page = store.checkpoints(page.getLast().number() + 1);
    }
    return true;
  }

  private boolean checkCheckpoint(StoredCheckpoint checkpoint) throws SQLException {
    String place = "checkpoint " + checkpoint.number();
    Checkpoint statement = checkpoint.signed().statement();
    if (statement == null
        || statement.number() != checkpoint.number()
        || !isSigned(checkpoint.signed())) {
      find(Kind.CHECKPOINT_FORGED, place, "It is not signed by the key that signs checkpoints.");
      last = checkpoint;
      lastStatement = statement;
      return true;
    }
    checkOrder(checkpoint, statement, place);
    checkpoints++;
    boolean whole = walkSeals(statement);
    if (whole) {
      last = checkpoint;
      lastStatement = statement;
    }
    return whole;
  }

  private boolean isSigned(SignedCheckpoint signed) {
    return trusted == null ? signed.isSignedByItsOwnKey() : signed.isSignedBy(trusted);
  }

  private void checkOrder(StoredCheckpoint checkpoint, Checkpoint statement, String place) {
    long expected = last == null ? 1 : last.number() + 1;
    String previous = last == null ? null : last.signed().hash();
    if (last == null && dropped != null) {
      expected = dropped.checkpoint() + 1;
      previous = dropped.hash();
    }
    if (checkpoint.number() > expected) {
      find(
          Kind.CHECKPOINT_REMOVED,
          expected + 1 == checkpoint.number()
              ? "checkpoint " + expected
              : "checkpoint " + expected + " to " + (checkpoint.number() - 1),
          "Checkpoint " + checkpoint.number() + " is there and this is not.");
    } else if (previous == null
        ? statement.previous() != null
        : !previous.equals(statement.previous())) {
      find(Kind.CHECKPOINT_FORGED, place, "It does not follow from the checkpoint before.");
    } else if (lastStatement != null && statement.after() != lastStatement.upto()) {
      find(Kind.CHECKPOINT_FORGED, place, "It does not begin where the checkpoint before ends.");
    }
  }

  private boolean walkSeals(Checkpoint statement) throws SQLException {
    var digest = new SealDigest();
    int before = findings.size();
    if (!walk(statement.after(), statement.upto(), digest)) {
      return false;
    }
    if (digest.seals() == statement.seals()
        && digest.records() == statement.records()
        && digest.finish().equals(statement.digest())) {
      return true;
    }
    for (Head head : statement.heads()) {
      checkHead(head, statement.number());
    }
    if (findings.size() == before) {
      find(
          Kind.TRAIL_REWRITTEN,
          "checkpoint " + statement.number(),
          "The seals in its time are consistent and not those that were signed.");
    }
    return true;
  }

  private void checkHead(Head head, long checkpoint) throws SQLException {
    byte[] hash = store.head(head.writer(), head.seq());
    String place = head.writer() + "." + head.seq();
    if (hash == null) {
      find(
          Kind.TAIL_CUT,
          place,
          "Checkpoint " + checkpoint + " signed this as the writer's last record.");
    } else if (!HexFormat.of().formatHex(hash).equals(head.hash())) {
      find(
          Kind.TRAIL_REWRITTEN,
          place,
          "This record of its writer or one before it is not what checkpoint "
              + checkpoint
              + " signed.");
    }
  }

  /** What no checkpoint speaks of yet. */
  private boolean walkTail() throws SQLException {
    long after = lastStatement == null ? 0 : lastStatement.upto();
    return walk(after, Long.MAX_VALUE, new SealDigest());
  }

  private boolean walk(long after, long upto, SealDigest digest) throws SQLException {
    var check = new SealCheck(droppedBefore, droppedUpto, this::find);
    List<LinkedSeal> seals = store.seals(after, upto, SEALS);
    while (!seals.isEmpty()) {
      if (late()) {
        return false;
      }
      Map<Long, List<PlacedRow>> rows =
          store.records(seals.getFirst().seal().position(), seals.getLast().seal().position());
      for (LinkedSeal linked : seals) {
        Seal seal = linked.seal();
        digest.add(seal);
        check.check(linked, rows.getOrDefault(seal.position(), List.of()));
        records += seal.records();
      }
      seals = store.seals(seals.getLast().seal().position(), upto, SEALS);
    }
    return true;
  }

  /** Looks for records that no seal speaks of; answers until when there was time to look. */
  private Instant scanForInserted(Instant from, Instant to) throws SQLException {
    Place place = new Place(from, Long.MIN_VALUE, 0, true);
    List<Place> places = store.places(place, to);
    while (!places.isEmpty()) {
      for (Place found : places) {
        if (!found.sealed()) {
          find(
              Kind.RECORD_INSERTED,
              found.writer() + "." + found.seq(),
              "No broker has sealed this record of " + found.time() + ".");
        }
      }
      place = places.getLast();
      if (late()) {
        return place.time();
      }
      places = store.places(place, to);
    }
    return to;
  }

  private boolean late() {
    return System.nanoTime() - deadlineNanos > 0 || findings.size() >= AuditVerifier.MOST_FINDINGS;
  }

  private void find(Kind kind, String place, String detail) {
    find(new Finding(kind, place, detail));
  }

  private void find(Finding finding) {
    if (findings.size() < AuditVerifier.MOST_FINDINGS) {
      findings.add(finding);
    }
  }
}
