package io.valetkey.broker.limit;

import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * What one request through a gateway has cost its grant. All but {@link #end} belongs to one
 * thread.
 */
public final class GrantMeter {

  /** Of a grant without budgets: counts nothing. */
  public static final GrantMeter NONE = new GrantMeter(null, "", Caps.NONE);

  /** Bytes are charged together, so that small pieces do not cost a charge each. */
  private static final int TOGETHER = 64 * 1024;

  private final @Nullable GrantBudgets budgets;
  private final String grant;
  private final Caps caps;
  private final AtomicBoolean ended = new AtomicBoolean();
  private long bytes;

  GrantMeter(@Nullable GrantBudgets budgets, String grant, Caps caps) {
    this.budgets = budgets;
    this.grant = grant;
    this.caps = caps;
  }

  /** Whether {@link #modelTokens} wants to be told. */
  public boolean countsModelTokens() {
    return caps.modelTokensPerHour() > 0 || caps.modelTokensPerDay() > 0;
  }

  /** So many bytes of a body were passed on, in either direction. */
  public void passed(int more) {
    if (caps.bytesPerDay() > 0) {
      bytes += more;
      if (bytes >= TOGETHER) {
        chargeBytes();
      }
    }
  }

  /**
   * The request has cost so many model tokens.
   *
   * @param read whether the upstream stated them; otherwise they are an estimate
   */
  public void modelTokens(long tokens, boolean read) {
    if (budgets != null && countsModelTokens()) {
      budgets.counted(tokens, read);
      budgets.charge(grant, Budget.MODEL_TOKENS_PER_HOUR, caps.modelTokensPerHour(), tokens);
      budgets.charge(grant, Budget.MODEL_TOKENS_PER_DAY, caps.modelTokensPerDay(), tokens);
    }
  }

  /** The request has ended, one way or another. Only the first time counts. */
  public void end() {
    if (budgets != null && ended.compareAndSet(false, true)) {
      chargeBytes();
      if (caps.concurrentStreams() > 0) {
        budgets.close(grant, caps.concurrentStreams());
      }
    }
  }

  private void chargeBytes() {
    if (budgets != null) {
      budgets.charge(grant, Budget.BYTES_PER_DAY, caps.bytesPerDay(), bytes);
      bytes = 0;
    }
  }
}
