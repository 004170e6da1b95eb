package io.valetkey.broker.stop;

import java.time.Instant;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One stop as it is stored.
 *
 * @param id its id
 * @param epoch its place in the order of stops; tokens of earlier epochs never come back to life
 * @param target what it ends
 * @param reason why, in the words of whoever ordered it
 * @param createdAt when, by the database's clock
 * @param createdBy who ordered it
 * @param expiresAt when it ends by itself, if it does
 * @param endedAt when it ended
 * @param endedBy who lifted it; {@code expiry} if nobody did
 * @param endReason why it was lifted
 */
public record StopOrder(
    UUID id,
    long epoch,
    StopTarget target,
    String reason,
    Instant createdAt,
    String createdBy,
    @Nullable Instant expiresAt,
    @Nullable Instant endedAt,
    @Nullable String endedBy,
    @Nullable String endReason) {

  /** Whether it is in force, has been lifted or has expired. */
  public String state() {
    if (endedAt == null) {
      return "active";
    }
    return StopStore.EXPIRY.equals(endedBy) ? "expired" : "lifted";
  }
}
