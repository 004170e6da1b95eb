package io.valetkey.broker.approval;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What has become of a request for an approval. */
public enum ApprovalState {
  /** It waits for somebody to decide. */
  PENDING,
  /** The request may be sent, once. */
  APPROVED,
  /** It may not, and is not asked about again before its end. */
  DENIED,
  /** It was sent, or was about to be. */
  USED,
  /** Its time is over, it was stopped, or what it rests on was changed. */
  EXPIRED;

  /** The word on the wire and in the database. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The state of this word, or null if there is none. */
  public static @Nullable ApprovalState of(String word) {
    for (ApprovalState state : values()) {
      if (state.word().equals(word)) {
        return state;
      }
    }
    return null;
  }
}
