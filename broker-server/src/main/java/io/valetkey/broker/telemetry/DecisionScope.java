package io.valetkey.broker.telemetry;

import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.MDC;

/**
 * Puts {@code decision_id} on every line that this thread logs until it is closed. To be closed on
 * the same thread, before that thread turns to another request.
 */
public final class DecisionScope implements AutoCloseable {

  private static final String KEY = "decision_id";

  private final String id;
  private final @Nullable String before;

  private DecisionScope(String id) {
    this.id = id;
    this.before = MDC.get(KEY);
    MDC.put(KEY, id);
  }

  /** From here on lines carry this id. */
  public static DecisionScope of(UUID decisionId) {
    return new DecisionScope(decisionId.toString());
  }

  String decisionId() {
    return id;
  }

  @Override
  public void close() {
    if (before == null) {
      MDC.remove(KEY);
    } else {
      MDC.put(KEY, before);
    }
  }
}
