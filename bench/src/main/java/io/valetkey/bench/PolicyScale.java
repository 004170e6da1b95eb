package io.valetkey.bench;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.TokenWish;
import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.Set;

/**
 * Loads a policy of a given number of grants from a real database and prints how long that took and
 * how much heap it holds. One size per JVM.
 */
public final class PolicyScale {

  private PolicyScale() {}

  /** Takes the number of grants; one million if there is none. */
  public static void main(String[] args) throws Exception {
    int grants = args.length == 0 ? 1_000_000 : Integer.parseInt(args[0]);
    long before = heapInUse();
    try (var fixture = new PolicyFixture(grants)) {
      long held = heapInUse() - before;
      System.out.printf(
          "grants %d, agents %d, destinations %d%n",
          grants, fixture.agents(), PolicyFixture.DESTINATIONS);
      System.out.printf("load from PostgreSQL: %.2f s%n", fixture.loadSeconds());
      System.out.printf(
          "heap: %.1f MiB, %.1f bytes per grant, its share of the agents included%n",
          held / 1048576.0, (double) held / grants);
      requireGranted(fixture.access(), fixture.agents() - 1);
    }
  }

  private static void requireGranted(Access access, int agent) {
    var wish =
        new TokenWish(
            IdentityIssuer.NAME,
            "subject-" + agent,
            Map.of("sub", "subject-" + agent),
            "dest-0",
            Set.of());
    if (!(access.decideToken(wish) instanceof Decision.Granted)) {
      throw new IllegalStateException("the policy that was loaded does not grant what it should");
    }
  }

  private static long heapInUse() {
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
    return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
  }
}
