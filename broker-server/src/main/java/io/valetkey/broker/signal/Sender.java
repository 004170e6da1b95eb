package io.valetkey.broker.signal;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Who sent a signal, authenticated, and whom it may speak about.
 *
 * @param name for records and as the one who ordered a stop
 * @param cluster the issuer whose pods its events are about; null if it is no sensor
 * @param issuers the names of the issuers whose subjects it may name; an event about anybody else
 *     is about nobody
 */
public record Sender(String name, @Nullable String cluster, Set<String> issuers) {

  /** A sensor of one cluster. */
  public static Sender sensor(String name, String cluster) {
    return new Sender(name, cluster, Set.of(cluster));
  }
}
