package io.valetkey.broker.gateway;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.valetkey.broker.policy.DestinationSpec;
import java.time.Duration;

/**
 * The compiled scrubbers of credentials in use: compiling one takes far longer than an answer. They
 * hold what they look for, so they live no longer than a credential may.
 */
final class Scrubbers {

  private static final int MOST = 10_000;
  private static final Duration LONGEST = Duration.ofMinutes(5);

  private record Key(DestinationSpec.Credential reference, long version) {}

  private final Cache<Key, Scrubber> compiled =
      Caffeine.newBuilder().maximumSize(MOST).expireAfterWrite(LONGEST).build();

  Scrubber of(Admission.Admitted admitted) {
    Credentials.Credential credential = admitted.credential();
    return compiled.get(
        new Key(admitted.reference(), credential.version()),
        key -> new Scrubber(credential.fields().all()));
  }

  void drop() {
    compiled.invalidateAll();
  }
}
