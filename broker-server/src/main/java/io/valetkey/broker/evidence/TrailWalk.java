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
import io.valetkey.broker.evidence.Finding.Kind;
import java.security.PublicKey;
import java.sql.SQLException;
import java.time.Duration;
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

  /** Clocks of replicas may differ by so much; whole checkpoints are read anyway. */
  private static final Duration SKEW = Duration.ofMinutes(5);

  private final EvidenceStore store;
  private final CheckpointChain chain;
  private final long deadlineNanos;
  private final List<Finding> findings = new ArrayList<>();
  private long records;

  TrailWalk(EvidenceStore store, @Nullable PublicKey trusted, long deadlineNanos) {
    this.store = store;
    this.chain = new CheckpointChain(store, trusted, this::find);
    this.deadlineNanos = deadlineNanos;
  }

  AuditVerification verify(
      @Nullable Instant since, @Nullable Instant until, List<CheckpointRef> known, Trust trust)
      throws SQLException {
    Instant end = Instant.now();
    Instant to = until == null || until.isAfter(end) ? end : until;
    chain.refresh();
    Instant from = beginning(since);
    checkKnown(known);
    chain.begin(from.minus(SKEW));
    long start = chain.upto();
    checkPlaces();
    boolean whole = walkCheckpoints(to) && (to.isBefore(end) || walkTail());
    Instant reached = whole ? to : lastTime(from);
    Instant scanned = scanForInserted(from, reached, start);
    boolean complete = whole && !scanned.isBefore(reached);
    Outcome outcome = complete ? Outcome.SOUND : Outcome.INCOMPLETE;
    return new AuditVerification(
        findings.isEmpty() ? outcome : Outcome.TAMPERED,
        from,
        scanned,
        records,
        chain.checked(),
        chain.reached(),
        trust,
        findings);
  }

  private Instant lastTime(Instant from) {
    CheckpointRef reached = chain.reached();
    return reached == null || reached.time().isBefore(from) ? from : reached.time();
  }

  private Instant beginning(@Nullable Instant since) throws SQLException {
    Instant begun = chain.sealedSince();
    Dropped dropped = chain.dropped();
    begun = dropped != null && dropped.before().isAfter(begun) ? dropped.before() : begun;
    return since == null || since.isBefore(begun) ? begun : since;
  }

  private void checkKnown(List<CheckpointRef> known) throws SQLException {
    for (CheckpointRef ref : known) {
      if (!store.holds(ref, chain.dropped())) {
        find(
            Kind.ROLLED_BACK,
            "checkpoint " + ref.number(),
            "This checkpoint of " + ref.time() + " was seen before and is not in the database.");
      }
    }
  }

  /** No seal is where nobody would read it. */
  private void checkPlaces() throws SQLException {
    Dropped dropped = chain.dropped();
    for (Seal seal : store.sealsOutside(dropped == null ? 0 : dropped.upto())) {
      find(
          Kind.RECORD_INSERTED,
          seal.writer() + "." + seal.firstSeq() + "-" + seal.lastSeq(),
          "No broker writes a seal at position " + seal.position() + ".");
    }
  }

  private boolean walkCheckpoints(Instant to) throws SQLException {
    long walked = chain.upto();
    List<StoredCheckpoint> page = store.checkpoints(chain.next());
    while (!page.isEmpty()) {
      for (StoredCheckpoint checkpoint : page) {
        if (late()) {
          return false;
        }
        if (chain.isBehind(to)) {
          return true;
        }
        store.newSnapshot();
        chain.refresh();
        Checkpoint statement = chain.isGone(checkpoint) ? null : chain.check(checkpoint);
        if (statement != null) {
          // What a checkpoint spoke of that is worth nothing can still be held against its seals.
          if (!walk(walked, statement.after(), new SealDigest()) || !walkSeals(statement)) {
            return false;
          }
          walked = statement.upto();
          chain.walked();
        }
      }
      page = store.checkpoints(page.getLast().number() + 1);
    }
    chain.end();
    return true;
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
    store.newSnapshot();
    chain.refresh();
    return walk(chain.upto(), Long.MAX_VALUE, new SealDigest());
  }

  private boolean walk(long after, long upto, SealDigest digest) throws SQLException {
    var check = new SealCheck(chain.dropped(), this::find);
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
  private Instant scanForInserted(Instant from, Instant to, long start) throws SQLException {
    Place place = new Place(from, Long.MIN_VALUE, 0, true);
    List<Place> places = store.places(place, to, start);
    while (!places.isEmpty()) {
      store.newSnapshot();
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
      places = store.places(place, to, start);
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
