package io.valetkey.broker.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Names become checked addresses, and stay what they were when they were checked. */
class ResolverTest {

  private final AtomicInteger lookups = new AtomicInteger();
  private final AtomicReference<Instant> now = new AtomicReference<>(Instant.EPOCH);

  @Test
  void resolve_whenOneAnswerOfManyIsPrivate_refusesAll() {
    Resolver resolver = resolver(host -> addresses("1.1.1.1", "10.0.0.1"));
    assertThatThrownBy(() -> resolver.resolve("mixed.test", 443).get())
        .hasCauseInstanceOf(AddressRefusedException.class);
  }

  @Test
  void resolve_whenTheHostIsALiteral_checksItToo() {
    Resolver resolver = resolver(InetAddress::getAllByName);
    assertThatThrownBy(() -> resolver.resolve("127.0.0.1", 443).get())
        .hasCauseInstanceOf(AddressRefusedException.class);
  }

  @Test
  void resolve_keepsAGoodAnswerForItsTimeAndNoLonger() throws Exception {
    AtomicReference<String> answer = new AtomicReference<>("1.1.1.1");
    Resolver resolver = resolver(host -> addresses(answer.get()));
    assertThat(resolver.resolve("a.test", 443).get()).containsExactly(addresses("1.1.1.1"));
    answer.set("10.0.0.1");
    now.set(Instant.EPOCH.plusSeconds(29));
    assertThat(resolver.resolve("a.test", 443).get()).containsExactly(addresses("1.1.1.1"));
    assertThat(lookups).hasValue(1);
    now.set(Instant.EPOCH.plusSeconds(30));
    assertThatThrownBy(() -> resolver.resolve("a.test", 443).get())
        .hasCauseInstanceOf(AddressRefusedException.class);
  }

  @Test
  void resolve_whenItFailed_asksAgain() throws Exception {
    Resolver resolver =
        resolver(host -> {
          if (lookups.get() == 1) {
            throw new UnknownHostException(host);
          }
          return addresses("1.1.1.1");
        });
    assertThatThrownBy(() -> resolver.resolve("a.test", 443).get())
        .hasCauseInstanceOf(UnknownHostException.class);
    assertThat(resolver.resolve("a.test", 443).get()).hasSize(1);
  }

  @Test
  void resolve_whenTheNameServiceHangs_failsInTime() {
    CountDownLatch never = new CountDownLatch(1);
    Resolver resolver =
        resolver(host -> {
          try {
            never.await();
          } catch (InterruptedException e) {
            throw new UnknownHostException(host);
          }
          return addresses("1.1.1.1");
        });
    assertThatThrownBy(() -> resolver.resolve("a.test", 443).get())
        .hasCauseInstanceOf(TimeoutException.class);
    never.countDown();
  }

  private Resolver resolver(Resolver.Lookup lookup) {
    Clock clock =
        new Clock() {
          @Override
          public Instant instant() {
            return now.get();
          }

          @Override
          public ZoneOffset getZone() {
            return ZoneOffset.UTC;
          }

          @Override
          public Clock withZone(java.time.ZoneId zone) {
            return this;
          }
        };
    return new Resolver(
        AddressRules.forDestinations(List.of(), Set.of()),
        host -> {
          lookups.incrementAndGet();
          return lookup.all(host);
        },
        Duration.ofSeconds(30),
        Duration.ofMillis(500),
        clock);
  }

  private static InetAddress[] addresses(String... literals) {
    return java.util.Arrays.stream(literals)
        .map(InetAddress::ofLiteral)
        .toArray(InetAddress[]::new);
  }
}
