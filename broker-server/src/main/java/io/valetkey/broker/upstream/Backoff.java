package io.valetkey.broker.upstream;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Who asked to be asked less often, and until when nobody does: a second after the first time,
 * twice as long after each further one, a minute at most. Safe for any thread.
 */
final class Backoff {

  private static final Duration FIRST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofMinutes(1);

  private record Pause(Instant until, Duration length) {}

  private final Clock clock;

  /** Endpoints stand in the policy, so there are few. */
  private final Map<String, Pause> pauses = new ConcurrentHashMap<>();

  Backoff(Clock clock) {
    this.clock = clock;
  }

  /** How long it must not be asked yet; not positive if it may be. */
  Duration remaining(String endpoint) {
    Pause pause = pauses.get(endpoint);
    return pause == null ? Duration.ZERO : Duration.between(clock.instant(), pause.until());
  }

  /** It said that it is asked too often. */
  void refused(String endpoint) {
    Instant now = clock.instant();
    pauses.compute(
        endpoint,
        (_, before) -> {
          if (before != null && now.isBefore(before.until())) {
            // Another request that was under way when the pause began.
            return before;
          }
          Duration length = before == null ? FIRST : before.length().multipliedBy(2);
          Duration bounded = length.compareTo(LONGEST) > 0 ? LONGEST : length;
          return new Pause(now.plus(bounded), bounded);
        });
  }

  /** It answered as it should. */
  void answered(String endpoint) {
    pauses.remove(endpoint);
  }
}
