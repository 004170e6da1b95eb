package io.valetkey.broker.stop;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * What a view of stops has just taken in, in the order of epochs.
 *
 * @param stops the stops that were ordered, lifted or ended since the last change
 */
public record StopChange(List<StopOrder> stops) {

  /** Copies the list. */
  public StopChange {
    stops = List.copyOf(stops);
  }

  /**
   * The stop of this change that ends something which was allowed before. Of several that do, the
   * one that was ordered first: each exchange counts for one stop only.
   *
   * @param jti the access token's id
   */
  public Optional<UUID> endedBy(String agent, String issuer, String jti, String destination) {
    for (StopOrder stop : stops) {
      String value =
          switch (stop.target().kind()) {
            case AGENT -> agent;
            case ISSUER -> issuer;
            case TOKEN -> jti;
            case DESTINATION -> destination;
            case EVERYTHING -> "";
          };
      if (value.equals(stop.target().value())) {
        return Optional.of(stop.id());
      }
    }
    return Optional.empty();
  }

  /** Acts on changes of a view. */
  @FunctionalInterface
  public interface Listener {

    /**
     * Called on the feed's thread, when the view answers by the change already and before it is
     * acknowledged. What must end has ended when this returns.
     */
    void changed(StopChange change);
  }
}
