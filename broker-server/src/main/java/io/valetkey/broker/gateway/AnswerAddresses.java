package io.valetkey.broker.gateway;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.valetkey.broker.policy.Destination;
import org.jspecify.annotations.Nullable;

/** The rewriters of destinations in use, made once for each way by which they are known. */
final class AnswerAddresses {

  private static final int MOST = 10_000;

  private record Key(Way way, String destination, String host, int port) {}

  private final GatewaySettings settings;
  private final Cache<Key, OwnAddress> made = Caffeine.newBuilder().maximumSize(MOST).build();

  AnswerAddresses(GatewaySettings settings) {
    this.settings = settings;
  }

  /**
   * The rewriter for answers to this request; null where the caller knows the upstream by its own
   * address.
   */
  @Nullable OwnAddress of(Admission.Admitted admitted) {
    Way way = admitted.accepted().way();
    if (!way.namesDestination()) {
      return null;
    }
    Destination target = admitted.destination();
    return made.get(
        new Key(way, target.name(), target.host(), target.port()),
        key -> new OwnAddress(settings.address(way, key.destination()), key.host(), key.port()));
  }
}
