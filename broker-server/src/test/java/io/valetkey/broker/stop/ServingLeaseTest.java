package io.valetkey.broker.stop;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** When a gateway may serve. Invariant: S6. */
class ServingLeaseTest {

  private static final Duration S = Duration.ofSeconds(10);
  private static final long SECOND = 1_000_000_000L;

  private final ServingLease lease = new ServingLease(S);
  private final long start = System.nanoTime();

  private long at(double seconds) {
    return start + (long) (seconds * SECOND);
  }

  @Test
  void nothingReported_coversNothing() {
    assertThat(lease.covers(start, start)).isFalse();
    assertThat(lease.isOver()).isTrue();
  }

  @Test
  void report_countsFromBeforeItWasSent() {
    lease.reported(at(0), at(3));

    assertThat(lease.covers(at(4), at(10))).isTrue();
    assertThat(lease.covers(at(4), at(10.001))).isFalse();
  }

  @Test
  void viewFromBeforeTheFirstReport_isNotCovered() {
    lease.reported(at(1), at(2));

    assertThat(lease.covers(at(1.9), at(3))).isFalse();
    assertThat(lease.covers(at(2), at(3))).isTrue();
  }

  @Test
  void renewalInTime_keepsTheViewsOfBefore() {
    lease.reported(at(0), at(1));
    lease.reported(at(8), at(9));

    assertThat(lease.covers(at(7), at(16))).isTrue();
  }

  @Test
  void renewalWhoseAnswerCameTooLate_needsANewView() {
    lease.reported(at(0), at(1));
    // Sent in time, but who waits for gateways had left this one out before it was durable.
    lease.reported(at(8), at(11));

    assertThat(lease.covers(at(7), at(12))).isFalse();
    assertThat(lease.covers(at(11.5), at(12))).isTrue();
    assertThat(lease.covers(at(11.5), at(18.1))).isFalse();
  }
}
