package io.valetkey.broker.stop;

import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What is stopped, and since when tokens count again: the memory behind a view, without any notion
 * of how old it is. Changed by one thread, asked by any.
 */
final class KnownStops {

  /**
   * An ended stop, or one of a single token, matters as long as a token from before it may live,
   * and no access token lives longer than an hour.
   */
  static final Duration REMEMBERED = Duration.ofHours(2);

  private final Map<StopTarget, TargetState> targets = new ConcurrentHashMap<>();
  private final Map<UUID, Held> held = new ConcurrentHashMap<>();

  private record Held(StopOrder stop, long heldNanos) {

    boolean isOver(long now) {
      boolean ends = stop.endedAt() != null || stop.target().kind() == StopTarget.Kind.TOKEN;
      return ends && now - heldNanos > REMEMBERED.toNanos();
    }
  }

  /** What is known of one target: tokens of an epoch before the cut-off are dead for good. */
  private record TargetState(long cutOff, List<UUID> inForce, long seenNanos) {

    static final TargetState NONE = new TargetState(0, List.of(), 0);

    TargetState with(StopOrder stop) {
      Stream<UUID> others = inForce.stream().filter(other -> !other.equals(stop.id()));
      boolean ended = stop.endedAt() != null;
      List<UUID> now = (ended ? others : Stream.concat(others, Stream.of(stop.id()))).toList();
      return new TargetState(Math.max(cutOff, stop.epoch()), now, System.nanoTime());
    }
  }

  void apply(StopOrder stop) {
    held.put(stop.id(), new Held(lean(stop), System.nanoTime()));
    targets.compute(
        stop.target(), (target, state) -> (state == null ? TargetState.NONE : state).with(stop));
  }

  /** There may be a million stops of single tokens, whose words are always the same few. */
  private static StopOrder lean(StopOrder stop) {
    if (stop.target().kind() != StopTarget.Kind.TOKEN) {
      return stop;
    }
    return new StopOrder(
        stop.id(),
        stop.epoch(),
        stop.target(),
        stop.reason().intern(),
        stop.createdAt(),
        stop.createdBy().intern(),
        stop.expiresAt(),
        stop.endedAt(),
        stop.endedBy(),
        stop.endReason());
  }

  /** A stopped token has ended by itself long before it is forgotten here. */
  void forgetWhatIsOver() {
    long now = System.nanoTime();
    held.values().removeIf(entry -> entry.isOver(now));
    targets
        .entrySet()
        .removeIf(entry ->
            entry.getKey().kind() == StopTarget.Kind.TOKEN
                && now - entry.getValue().seenNanos() > REMEMBERED.toNanos());
  }

  /** Every stop that is in force, and those that ended so lately that old tokens may still live. */
  Collection<StopOrder> all() {
    return held.values().stream().map(Held::stop).toList();
  }

  /** Those of single tokens are not counted: there may be a million. */
  StopView.InForce inForce() {
    int count = 0;
    Instant oldest = null;
    for (Held entry : held.values()) {
      StopOrder stop = entry.stop();
      if (stop.endedAt() == null && stop.target().kind() != StopTarget.Kind.TOKEN) {
        count++;
        oldest = oldest == null || stop.createdAt().isBefore(oldest) ? stop.createdAt() : oldest;
      }
    }
    return new StopView.InForce(count, oldest);
  }

  /** See {@link StopView#stopped}. */
  @Nullable StopTarget stopped(String agent, String issuer, @Nullable String jti, long tokenEpoch) {
    if (targets.isEmpty()) {
      return null;
    }
    StopTarget found = check(StopTarget.EVERYTHING, tokenEpoch);
    found = found != null ? found : check(StopTarget.Kind.AGENT, agent, tokenEpoch);
    found = found != null ? found : check(StopTarget.Kind.ISSUER, issuer, tokenEpoch);
    if (found == null && jti != null) {
      // A token that was stopped once stays stopped, whatever becomes of the order.
      found = check(StopTarget.Kind.TOKEN, jti, 0);
    }
    return found;
  }

  @Nullable StopTarget check(StopTarget.Kind kind, String value, long tokenEpoch) {
    return check(new StopTarget(kind, value), tokenEpoch);
  }

  private @Nullable StopTarget check(StopTarget target, long tokenEpoch) {
    TargetState state = targets.get(target);
    if (state == null) {
      return null;
    }
    return !state.inForce().isEmpty() || tokenEpoch < state.cutOff() ? target : null;
  }
}
