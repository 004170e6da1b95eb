package io.valetkey.quickstart;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Everything that was started, ended in the reverse order. When the end comes while something is
 * being started, that is waited for and ended too.
 */
final class Parts implements AutoCloseable {

  /** Something that can be ended without failing. */
  interface Part extends AutoCloseable {
    @Override
    void close();
  }

  private final Deque<Part> started = new ArrayDeque<>();
  private boolean ended;

  /** Starts a part. */
  synchronized <T> T start(Supplier<T> starting, Function<T, Part> end) {
    if (ended) {
      throw new IllegalStateException("the end has come");
    }
    T part = starting.get();
    started.push(end.apply(part));
    return part;
  }

  @Override
  public synchronized void close() {
    ended = true;
    while (!started.isEmpty()) {
      try {
        started.pop().close();
      } catch (RuntimeException e) {
        System.err.println("Did not end cleanly: " + e);
      }
    }
  }
}
