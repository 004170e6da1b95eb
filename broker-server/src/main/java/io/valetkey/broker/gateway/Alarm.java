package io.valetkey.broker.gateway;

import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One deadline after another on one event loop, of which hardly any is ever reached: moving it
 * costs nothing as long as it moves away. Only the event loop may use it.
 */
final class Alarm {

  private final EventExecutor loop;
  private @Nullable Runnable action;
  private long due;
  private @Nullable Future<?> check;
  private long checkAt;

  Alarm(EventExecutor loop) {
    this.loop = loop;
  }

  /** Runs the action at this time of {@link System#nanoTime()}, in the place of the last one. */
  void set(long nanoTime, Runnable onDue) {
    due = nanoTime;
    action = onDue;
    if (check == null || nanoTime - checkAt < 0) {
      cancelCheck();
      checkAt(nanoTime);
    }
  }

  /** Runs nothing any more. */
  void clear() {
    action = null;
  }

  /** The same for good: the connection is gone. */
  void close() {
    action = null;
    cancelCheck();
  }

  private void checkAt(long nanoTime) {
    checkAt = nanoTime;
    check = loop.schedule(this::check, nanoTime - System.nanoTime(), TimeUnit.NANOSECONDS);
  }

  private void check() {
    check = null;
    Runnable now = action;
    if (now == null) {
      return;
    }
    if (due - System.nanoTime() > 0) {
      checkAt(due);
    } else {
      action = null;
      now.run();
    }
  }

  private void cancelCheck() {
    if (check != null) {
      check.cancel(false);
      check = null;
    }
  }
}
