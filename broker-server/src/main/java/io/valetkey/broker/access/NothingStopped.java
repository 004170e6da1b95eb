package io.valetkey.broker.access;

import io.valetkey.broker.stop.StopTarget;
import io.valetkey.broker.stop.Stops;
import org.jspecify.annotations.Nullable;

/** For rehearsals: what the policy alone says, whatever is stopped now. */
enum NothingStopped implements Stops {
  INSTANCE;

  @Override
  public long epoch() {
    return 0;
  }

  @Override
  public @Nullable StopTarget stopped(
      String agent, String issuer, @Nullable String jti, long tokenEpoch) {
    return null;
  }

  @Override
  public @Nullable StopTarget stoppedDestination(String destination, long tokenEpoch) {
    return null;
  }

  @Override
  public boolean isKnownToBeStopped(
      String agent, String issuer, String jti, long tokenEpoch, String destination) {
    return false;
  }

  @Override
  public boolean isFresh() {
    return true;
  }
}
