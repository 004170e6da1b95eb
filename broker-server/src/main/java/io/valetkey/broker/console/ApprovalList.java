package io.valetkey.broker.console;

import io.valetkey.broker.approval.Approval;
import io.valetkey.broker.approval.ApprovalBook;
import io.valetkey.broker.approval.ApprovalBook.Filter;
import io.valetkey.broker.approval.ApprovalState;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.Base64;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The requests that wait for somebody, and what became of those before. */
final class ApprovalList {

  private static final int WAITING = 100;
  private static final int ENDED = 50;

  private final ApprovalBook book;

  ApprovalList(ApprovalBook book) {
    this.book = book;
  }

  /**
   * Some of those that wait, newest first.
   *
   * @param older the id after which the next ones come; empty if there are none
   */
  record Waiting(List<Approval> approvals, String older) {}

  /**
   * A request with everything that somebody decides by.
   *
   * @param body its body, as the page shows it; empty if there is none, or none any more
   * @param isText whether it is shown as the text that it is, and not as Base64
   * @param digest the SHA-256 of the body
   */
  record Shown(Approval approval, String body, boolean isText, String digest) {

    boolean waits() {
      return approval.state() == ApprovalState.PENDING;
    }

    /** Whether fields and body are still there. */
    boolean isKept() {
      return approval.endedAt() == null;
    }

    boolean isOf(@Nullable Admin admin) {
      return admin != null && approval.subject().equals(admin.name());
    }
  }

  /** Those that wait and were asked for before this one; null for the newest. */
  Waiting waiting(@Nullable Approval before) {
    List<Approval> found =
        book.list(
            new Filter(
                null,
                null,
                ApprovalState.PENDING,
                before == null ? null : before.createdAt(),
                before == null ? null : before.id()),
            WAITING + 1);
    List<Approval> page = found.subList(0, Math.min(WAITING, found.size()));
    return new Waiting(page, found.size() > WAITING ? page.getLast().id().toString() : "");
  }

  /** Those that do not wait any more, newest first. */
  List<Approval> ended() {
    return Stream.of(ApprovalState.values())
        .filter(state -> state != ApprovalState.PENDING)
        .flatMap(state -> book.list(new Filter(null, null, state, null, null), ENDED).stream())
        .sorted(Comparator.comparing(Approval::createdAt).reversed())
        .limit(ENDED)
        .toList();
  }

  /**
   * The approval with this id.
   *
   * @throws RefusedException {@link ProblemCode#NOT_FOUND} if there is none
   */
  Approval find(String id) {
    return Optional.ofNullable(ApprovalBook.id(id))
        .flatMap(book::find)
        .orElseThrow(
            () -> new RefusedException(ProblemCode.NOT_FOUND, "There is no such approval."));
  }

  /** The same with its body. */
  Shown show(Approval approval) {
    byte[] body = book.body(approval.id());
    String digest = HexFormat.of().formatHex(Sha256.of(body));
    String text = ApprovalBook.text(body);
    return text == null
        ? new Shown(approval, Base64.getMimeEncoder().encodeToString(body), false, digest)
        : new Shown(approval, Visible.text(text), true, digest);
  }

  /** How its state is marked on a page. */
  static String tag(Approval approval) {
    return switch (approval.state()) {
      case PENDING, EXPIRED -> "refused";
      case APPROVED, USED -> "granted";
      case DENIED -> "failed";
    };
  }
}
