package io.valetkey.broker.limit;

/**
 * How much of each budget a grant allows; 0 for no bound.
 *
 * @param modelTokensPerHour model tokens within one hour, in UTC
 * @param modelTokensPerDay model tokens within one day, in UTC
 * @param bytesPerDay bytes of bodies within one day, in UTC
 * @param concurrentStreams requests that are open at the same time
 */
public record Caps(
    long modelTokensPerHour, long modelTokensPerDay, long bytesPerDay, long concurrentStreams) {

  /** No bounds. */
  public static final Caps NONE = new Caps(0, 0, 0, 0);

  /** Whether there are no bounds at all. */
  public boolean isNone() {
    return modelTokensPerHour == 0
        && modelTokensPerDay == 0
        && bytesPerDay == 0
        && concurrentStreams == 0;
  }

  /** The bound of one budget; 0 for none. */
  public long of(Budget budget) {
    return switch (budget) {
      case MODEL_TOKENS_PER_HOUR -> modelTokensPerHour;
      case MODEL_TOKENS_PER_DAY -> modelTokensPerDay;
      case BYTES_PER_DAY -> bytesPerDay;
      case CONCURRENT_STREAMS -> concurrentStreams;
    };
  }
}
