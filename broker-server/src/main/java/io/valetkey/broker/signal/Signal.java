package io.valetkey.broker.signal;

import io.valetkey.broker.policy.SignalRule.Facts;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One event of a sensor or identity provider, reduced to what is kept of it. Everything else that
 * was sent is gone by now, because command lines, file names and free text can hold secrets.
 *
 * @param facts what rules look at
 * @param about whom it is about, as the sender says
 * @param occurredAt when it happened, as the sender says
 * @param words further facts of fixed shapes, by which the whole event is found at its source
 */
public record Signal(
    Facts facts, About about, @Nullable Instant occurredAt, Map<String, String> words) {

  /** The word that names the signal as it was first received. */
  static final String FIRST = "first_received_as";

  /** Copies the words. */
  public Signal {
    words = Map.copyOf(words);
  }

  /** The same, judged once more; it says which signal it was when it came. */
  Signal again(UUID first) {
    Map<String, String> more = new HashMap<>(words);
    more.put(FIRST, first.toString());
    return new Signal(facts, about, occurredAt, more);
  }

  /** Whom an event is about. */
  public sealed interface About {

    /**
     * A pod of the cluster that the sender speaks for.
     *
     * @param uid its uid; null where the sensor does not know it
     */
    record Pod(String namespace, String name, @Nullable String uid) implements About {}

    /**
     * A subject of an issuer.
     *
     * @param iss the exact issuer; null for the cluster that the sender speaks for
     */
    record Account(@Nullable String iss, String subject) implements About {}

    /** Nobody that could be an agent. */
    record Nobody() implements About {}
  }
}
