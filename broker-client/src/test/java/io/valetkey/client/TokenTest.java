package io.valetkey.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.sun.management.ThreadMXBean;
import io.valetkey.client.testing.FakeValetkey;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The life of a cached token: 300 s, first threshold at 150 to 195 s, the second at 255 s. */
class TokenTest {
  private final MovableClock clock = new MovableClock();
  private final FakeValetkey fake = FakeValetkey.builder().clock(clock).start();

  @AfterEach
  void stop() {
    fake.close();
  }

  private Valetkey valetkey(double jitter) {
    return Valetkey.builder()
        .brokerUrl(fake.brokerUrl())
        .gatewayUrl(fake.gatewayUrl())
        .identity(fake::identityToken)
        .clock(clock)
        .jitter(() -> jitter)
        .build();
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
  void token_whenCalledAgain_isTheSameWithoutAnotherExchange() {
    Destination openai = fake.connect().destination("openai");
    AccessToken token = openai.token();
    assertThat(openai.token()).isSameAs(token);
    assertThat(openai.tokenAsync().join()).isSameAs(token);
    assertThat(fake.tokenRequests()).isEqualTo(1);
    assertThat(token.destination()).isEqualTo("openai");
    assertThat(token.scopes()).containsExactly("all");
    assertThat(token.expiresAt()).isEqualTo(clock.instant().plusSeconds(300));
  }

  @Test
  void token_perDestinationAndScopes_isItsOwn() {
    Valetkey valetkey = fake.connect();
    Destination openai = valetkey.destination("openai");
    Destination chat = openai.withScopes("files", "chat", "chat");
    assertThat(chat).isSameAs(openai.withScopes("chat", "files")).isNotSameAs(openai);
    assertThat(chat.token().scopes()).containsExactly("chat", "files");
    assertThat(
            Set.of(
                chat.token().value(),
                openai.token().value(),
                valetkey.destination("github").token().value()))
        .hasSize(3);
    assertThatThrownBy(openai::withScopes).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> openai.withScopes("a b")).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> valetkey.destination("../x"))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void token_whenAHundredThreadsAskAtOnce_isExchangedOnce() throws Exception {
    Destination openai = fake.connect().destination("openai");
    ExecutorService threads = Executors.newFixedThreadPool(100);
    try {
      CountDownLatch start = new CountDownLatch(1);
      List<Future<AccessToken>> all = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        all.add(
            threads.submit(() -> {
              start.await();
              return openai.token();
            }));
      }
      start.countDown();
      Set<AccessToken> seen = ConcurrentHashMap.newKeySet();
      for (Future<AccessToken> one : all) {
        seen.add(one.get(20, TimeUnit.SECONDS));
      }
      assertThat(seen).hasSize(1);
      assertThat(fake.tokenRequests()).isEqualTo(1);
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void token_atTheFirstThreshold_isServedWhileOneExchangeRuns() throws Exception {
    Destination openai = valetkey(0).destination("openai");
    AccessToken old = openai.token();
    clock.advance(Duration.ofMillis(149_999));
    assertThat(openai.token()).isSameAs(old);
    Thread.sleep(50);
    assertThat(fake.tokenRequests()).isEqualTo(1);
    clock.advance(Duration.ofMillis(1));
    assertThat(openai.token()).isSameAs(old);
    eventually(() -> openai.token() != old);
    assertThat(fake.tokenRequests()).isEqualTo(2);
  }

  @Test
  void token_firstThreshold_movesWithTheJitterUpTo65Percent() throws Exception {
    Destination openai = valetkey(1).destination("openai");
    openai.token();
    seconds(194);
    openai.token();
    Thread.sleep(50);
    assertThat(fake.tokenRequests()).isEqualTo(1);
    seconds(1);
    openai.token();
    eventually(() -> fake.tokenRequests() == 2);
  }

  @Test
  void token_atTheSecondThreshold_isReplacedBeforeTheCallReturns() {
    Destination openai = valetkey(0).destination("openai");
    AccessToken old = openai.token();
    seconds(255);
    assertThat(openai.token()).isNotSameAs(old);
    assertThat(fake.tokenRequests()).isEqualTo(2);
  }

  @Test
  void token_whenBrokerIsAway_servesTheOldTokenUntilItExpires() {
    Destination openai = valetkey(0).destination("openai");
    AccessToken old = openai.token();
    fake.goOffline();
    seconds(260);
    assertThat(openai.token()).isSameAs(old);
    clock.advance(Duration.ofMillis(39_999));
    assertThat(openai.token()).isSameAs(old);
    clock.advance(Duration.ofMillis(1));
    assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
    assertThatThrownBy(() -> openai.tokenAsync().join())
        .hasCauseInstanceOf(UnavailableException.class);
    fake.goOnline();
    seconds(10);
    assertThat(openai.token()).isNotSameAs(old);
  }

  @Test
  void token_whenTheClockWasSetBack_isNotTrusted() {
    Destination openai = valetkey(0).destination("openai");
    AccessToken old = openai.token();
    seconds(-1);
    assertThat(openai.token()).isNotSameAs(old);
  }

  @Test
  void token_whenBrokerRefusesTheRenewal_isNotServedAnyMore() throws Exception {
    Destination openai = valetkey(0).destination("openai");
    openai.token();
    fake.deny("openai", "invalid_target");
    seconds(150);
    openai.token();
    eventually(() -> {
      try {
        openai.token();
        return false;
      } catch (RefusedException e) {
        return true;
      }
    });
  }

  @Test
  void token_whenRefused_saysStopWithCodeAndDecision() {
    fake.deny("openai", "invalid_target");
    Destination openai = fake.connect().destination("openai");
    RefusedException refused = catchThrowableOfType(RefusedException.class, openai::token);
    assertThat(refused.retryable()).isFalse();
    assertThat(refused.error()).contains("invalid_target");
    assertThat(refused.decisionId().orElseThrow()).startsWith("fake-decision-");
    assertThat(refused).hasMessageContaining("openai").hasMessageContaining("denied by the test");
    fake.allow("openai");
    seconds(1);
    assertThat(openai.token()).isNotNull();
  }

  @Test
  void token_whenBrokerSaysRetryAfter_isNotAskedForSooner() {
    Destination openai = fake.connect().destination("openai");
    fake.goBusy(Duration.ofSeconds(20));
    UnavailableException busy = catchThrowableOfType(UnavailableException.class, openai::token);
    assertThat(busy.retryable()).isTrue();
    assertThat(busy.error()).contains("temporarily_unavailable");
    assertThat(busy.retryAfter()).contains(Duration.ofSeconds(20));
    fake.goOnline();
    seconds(19);
    assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
    assertThat(fake.tokenRequests()).isEqualTo(1);
    seconds(1);
    assertThat(openai.token()).isNotNull();
  }

  @Test
  void token_afterRepeatedFailures_isAskedForLessAndLessOften() {
    Destination openai = fake.connect().destination("openai");
    fake.goOffline();
    int asked = 0;
    for (int pause : new int[] {1, 2, 4, 8, 8}) {
      assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
      assertThat(fake.tokenRequests()).isEqualTo(++asked);
      clock.advance(Duration.ofSeconds(pause).minusMillis(1));
      assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
      assertThat(fake.tokenRequests()).isEqualTo(asked);
      clock.advance(Duration.ofMillis(1));
    }
  }

  @Test
  void token_whenTheWaitIsInterrupted_saysTryAgainAndKeepsTheFlag() throws Exception {
    CountDownLatch hang = new CountDownLatch(1);
    Destination openai =
        Valetkey.builder()
            .brokerUrl(fake.brokerUrl())
            .identity(() -> {
              try {
                hang.await();
              } catch (InterruptedException e) {
                throw new java.io.IOException(e);
              }
              return fake.identityToken();
            })
            .build()
            .destination("openai");
    AtomicInteger outcome = new AtomicInteger();
    Thread caller =
        new Thread(() -> {
          try {
            openai.token();
          } catch (UnavailableException e) {
            outcome.set(Thread.currentThread().isInterrupted() ? 1 : 2);
          }
        });
    caller.start();
    Thread.sleep(50);
    caller.interrupt();
    caller.join(10_000);
    assertThat(outcome).hasValue(1);
    hang.countDown();
    assertThat(openai.token()).isNotNull(); // The exchange itself was not disturbed.
    assertThat(fake.tokenRequests()).isEqualTo(1);
  }

  @Test
  void token_whenCached_allocatesNothing() {
    Destination openai =
        Valetkey.builder()
            .brokerUrl(fake.brokerUrl())
            .identity(fake::identityToken)
            .build()
            .destination("openai");
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long id = Thread.currentThread().getId();
    int calls = 200_000;
    long sum = 0;
    for (int i = 0; i < calls; i++) {
      sum += openai.token().hashCode();
    }
    long before = threads.getThreadAllocatedBytes(id);
    for (int i = 0; i < calls; i++) {
      sum += openai.token().hashCode();
    }
    long allocated = threads.getThreadAllocatedBytes(id) - before;
    assertThat(sum).isNotZero();
    assertThat(allocated).as("bytes in all calls together").isLessThan(calls);
  }

  @Test
  void token_ofFiftyDestinations_needsTwoDaemonThreadsAtMost() {
    Set<Thread> others = Thread.getAllStackTraces().keySet();
    Valetkey valetkey = fake.connect();
    for (int i = 0; i < 50; i++) {
      valetkey.destination("d" + i).token();
    }
    assertThat(Thread.getAllStackTraces().keySet())
        .filteredOn(thread -> thread.getName().equals("valetkey-client"))
        .filteredOn(thread -> !others.contains(thread))
        .hasSizeBetween(1, 2)
        .allMatch(Thread::isDaemon);
  }
}
