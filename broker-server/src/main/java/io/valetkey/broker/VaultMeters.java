package io.valetkey.broker;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.valetkey.broker.upstream.VaultConnection;
import java.util.concurrent.TimeUnit;

/** Times the calls to Vault, by what they are for. */
final class VaultMeters {

  private VaultMeters() {}

  /** Times every call of this connection from now on. */
  static VaultConnection timed(VaultConnection connection, MeterRegistry registry, String use) {
    Timer answered = timer(registry, use, true);
    Timer unanswered = timer(registry, use, false);
    connection.onCall(
        (ok, nanos) -> (ok ? answered : unanswered).record(nanos, TimeUnit.NANOSECONDS));
    return connection;
  }

  private static Timer timer(MeterRegistry registry, String use, boolean answered) {
    return Timer.builder("valetkey.vault.call")
        .description("Calls to Vault; a refusal is an answer")
        .tag("use", use)
        .tag("answered", String.valueOf(answered))
        .register(registry);
  }
}
