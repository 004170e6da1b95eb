package io.valetkey.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.client.testing.FakeValetkey;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The life of a lease that is kept current: 100 s, or 250 s with all renewals. */
class CurrentLeaseTest {
  private final MovableClock clock = new MovableClock();
  private final FakeValetkey fake = fake(Duration.ofSeconds(250));
  private final CurrentLease current = current(fake);

  private FakeValetkey fake(Duration longest) {
    return FakeValetkey.builder()
        .clock(clock)
        .tokenLife(Duration.ofHours(1))
        .leaseLife(Duration.ofSeconds(100), longest)
        .start();
  }

  private CurrentLease current(FakeValetkey fake) {
    return Valetkey.builder()
        .brokerUrl(fake.brokerUrl())
        .identity(fake::identityToken)
        .clock(clock)
        .jitter(() -> 0)
        .build()
        .destination("orders-db")
        .currentLease();
  }

  @AfterEach
  void stop() {
    fake.close();
  }

  private void seconds(int n) {
    clock.advance(Duration.ofSeconds(n));
  }

  private static void eventually(Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (!condition.call()) {
      assertThat(System.nanoTime()).as("waited too long").isLessThan(end);
      Thread.sleep(5);
    }
  }

  @Test
  void get_givesTheSameLease_toEverybody() throws Exception {
    var threads = Executors.newFixedThreadPool(16);
    List<Future<Lease>> got = new ArrayList<>();
    for (int i = 0; i < 64; i++) {
      got.add(threads.submit(current::get));
    }
    Set<String> users = ConcurrentHashMap.newKeySet();
    for (Future<Lease> one : got) {
      users.add(one.get().username());
    }
    threads.shutdown();
    assertThat(users).hasSize(1);
    assertThat(fake.issuedLeases()).isEqualTo(1);
  }

  @Test
  void get_inTheSecondHalf_renewsInTheBackground() throws Exception {
    Lease lease = current.get();
    seconds(51);
    assertThat(current.get()).isSameAs(lease);
    eventually(() -> lease.expiresAt().equals(clock.instant().plusSeconds(100)));
    assertThat(fake.issuedLeases()).isEqualTo(1);
  }

  @Test
  void get_whenRenewingGivesLittle_replaces_andTheOldOneStaysGood() throws Exception {
    Lease lease = current.get();
    for (int at = 0; at < 4; at++) {
      seconds(51);
      assertThat(current.get()).isNotNull();
      eventually(() -> current.get().expiresAtMillis() - clock.millis() >= 50_000);
    }
    // At 204 s the first one could live until 250 s only.
    Lease other = current.get();
    assertThat(other).isNotSameAs(lease);
    assertThat(fake.issuedLeases()).isEqualTo(2);
    assertThat(fake.liveLeases()).as("open connections may finish").isEqualTo(2);
    seconds(46);
    assertThat(fake.liveLeases()).isEqualTo(1);
  }

  @Test
  void get_ofWhatCannotBeRenewed_replacesIt_andNeverHasMoreThanTwo() throws Exception {
    try (FakeValetkey fixed = fake(Duration.ofSeconds(100));
        CurrentLease current = current(fixed)) {
      for (int at = 0; at < 40; at++) {
        Lease lease = current.get();
        assertThat(lease.expiresAt()).isAfter(clock.instant());
        assertThat(fixed.liveLeases()).isLessThanOrEqualTo(2);
        int before = fixed.issuedLeases();
        seconds(10);
        if (clock.millis() - lease.obtainedAtMillis() >= 50_000) {
          current.get();
          eventually(() -> fixed.issuedLeases() > before);
          eventually(() -> current.get() != lease);
        }
      }
      assertThat(fixed.issuedLeases()).isBetween(7, 9);
    }
  }

  @Test
  void get_whileTheBrokerIsAway_givesTheOldOne_untilItsEnd() {
    Lease lease = current.get();
    fake.goOffline();
    seconds(99);
    assertThat(current.get()).isSameAs(lease);
    seconds(1);
    assertThatThrownBy(current::get).isInstanceOf(UnavailableException.class);
    fake.goOnline();
    seconds(8);
    assertThat(current.get()).isNotSameAs(lease);
  }

  @Test
  void confirmed_afterAStop_isAnotherLease_notALoginThatIsGone() {
    Lease lease = current.get();
    fake.revokeLeases();
    seconds(2);
    assertThat(current.get()).as("nobody asked").isSameAs(lease);

    assertThat(current.confirmed()).isNotSameAs(lease);
    assertThat(current.get()).isNotSameAs(lease);
    assertThat(fake.liveLeases()).isEqualTo(1);
  }

  @Test
  void confirmed_whenTheBrokerRefuses_saysSo() {
    current.get();
    fake.revokeLeases();
    fake.deny("orders-db", "invalid_request");
    fake.expireTokens();
    seconds(2);

    assertThatThrownBy(current::confirmed)
        .isInstanceOf(RefusedException.class)
        .hasMessageContaining("invalid_request");
    assertThatThrownBy(current::get).isInstanceOf(RefusedException.class);
  }

  @Test
  void confirmed_whileTheBrokerIsAway_isWhatIsKnown() {
    Lease lease = current.get();
    seconds(2);
    fake.goOffline();
    assertThat(current.confirmed()).isSameAs(lease);
  }

  @Test
  void closedByItsUser_isNotHandedOutAgain() {
    Lease lease = current.get();
    lease.close();
    assertThat(current.get()).isNotSameAs(lease);
    assertThat(fake.liveLeases()).isEqualTo(1);
  }

  @Test
  void close_givesBackAll_andNothingIsHandedOutAfterIt() throws Exception {
    try (FakeValetkey fixed = fake(Duration.ofSeconds(100));
        CurrentLease current = current(fixed)) {
      Lease lease = current.get();
      seconds(60);
      eventually(() -> current.get() != lease);
      assertThat(fixed.liveLeases()).isEqualTo(2);
      current.close();
      assertThat(fixed.liveLeases()).isZero();
      assertThatThrownBy(current::get).isInstanceOf(IllegalStateException.class);
    }
  }
}
