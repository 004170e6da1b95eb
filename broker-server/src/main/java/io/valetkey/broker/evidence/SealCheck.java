package io.valetkey.broker.evidence;

import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.evidence.Checkpoint.Dropped;
import io.valetkey.broker.evidence.EvidenceStore.LinkedSeal;
import io.valetkey.broker.evidence.EvidenceStore.PlacedRow;
import io.valetkey.broker.evidence.Finding.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Compares one batch of records with its seal, and the seal with the one before. */
final class SealCheck {

  private final @Nullable Dropped dropped;
  private final Consumer<Finding> findings;

  /**
   * @param dropped what may be gone; null if all must be there
   */
  SealCheck(@Nullable Dropped dropped, Consumer<Finding> findings) {
    this.dropped = dropped;
    this.findings = findings;
  }

  void check(LinkedSeal linked, List<PlacedRow> rows) {
    checkLink(linked);
    Seal seal = linked.seal();
    List<List<PlacedRow>> bySeq = new ArrayList<>();
    for (int i = 0; i < seal.records(); i++) {
      bySeq.add(new ArrayList<>());
    }
    rows.forEach(row -> bySeq.get((int) (row.seq() - seal.firstSeq())).add(row));
    for (int i = 0; i < bySeq.size(); i++) {
      checkRecord(seal, seal.firstSeq() + i, bySeq.get(i));
    }
  }

  private void checkLink(LinkedSeal linked) {
    Seal seal = linked.seal();
    String place = seal.writer() + "." + seal.firstSeq() + "-" + seal.lastSeq();
    byte[] previous = linked.previous();
    if (seal.firstSeq() == 1) {
      previous = new byte[Seal.HASH];
    } else if (previous == null) {
      if (linked.earlier() || dropped == null || seal.writer() > dropped.writer()) {
        findings.accept(
            new Finding(
                Kind.CHAIN_BROKEN,
                place,
                "The seal of record " + seal.writer() + "." + (seal.firstSeq() - 1) + " is gone."));
      }
      return;
    }
    if (!Arrays.equals(seal.expectedHash(previous), seal.hash())) {
      findings.accept(
          new Finding(
              Kind.CHAIN_BROKEN,
              place,
              "The seal does not follow from the one before, or was changed."));
    }
  }

  private void checkRecord(Seal seal, long seq, List<PlacedRow> rows) {
    String place = seal.writer() + "." + seq;
    byte[] leaf = seal.leaf(seq);
    List<PlacedRow> others =
        rows.stream()
            .filter(row -> !Arrays.equals(row.row().hash(seal.writer(), seq), leaf))
            .toList();
    boolean found = others.size() < rows.size();
    boolean mayBeGone = dropped != null && seal.firstTime().isBefore(dropped.before());
    if (rows.isEmpty() && !mayBeGone) {
      findings.accept(
          new Finding(Kind.RECORD_REMOVED, place, "The record is gone, or its time was changed."));
    }
    for (PlacedRow row : others) {
      findings.accept(found ? inserted(place) : changed(seal, place, row));
    }
  }

  private static Finding inserted(String place) {
    return new Finding(
        Kind.RECORD_INSERTED, place, "There is a second record beside the one that was written.");
  }

  private static Finding changed(Seal seal, String place, PlacedRow row) {
    for (long seq = seal.firstSeq(); seq <= seal.lastSeq(); seq++) {
      if (Arrays.equals(row.row().hash(seal.writer(), seq), seal.leaf(seq))) {
        return new Finding(
            Kind.RECORD_MOVED,
            place,
            "Here stands what was written as record " + seal.writer() + "." + seq + ".");
      }
    }
    return new Finding(
        Kind.RECORD_CHANGED, place, "The record is not what was written: its hash differs.");
  }
}
