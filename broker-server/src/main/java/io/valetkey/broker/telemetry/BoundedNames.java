package io.valetkey.broker.telemetry;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/**
 * Something for each of a bounded number of names, and one more thing for all others: labels must
 * not grow with the policy.
 */
public final class BoundedNames<T> {

  /** The name of all others; a resource of that name is counted with them. */
  public static final String OTHER = "other";

  private final int most;
  private final Function<String, T> make;
  private final Map<String, T> known = new ConcurrentHashMap<>();
  private final T other;
  private volatile boolean full;

  /**
   * Makes the thing for all others.
   *
   * @param most how many names get a thing of their own
   * @param make called once for each of them
   */
  public BoundedNames(int most, Function<String, T> make) {
    this.most = most;
    this.make = make;
    this.other = make.apply(OTHER);
  }

  /** What belongs to this name. */
  public T of(String name) {
    T found = known.get(name);
    if (found != null) {
      return found;
    }
    if (full || name.equals(OTHER)) {
      return other;
    }
    return admit(name);
  }

  private synchronized T admit(String name) {
    if (known.size() < most) {
      return known.computeIfAbsent(name, make);
    }
    full = true;
    return other;
  }
}
