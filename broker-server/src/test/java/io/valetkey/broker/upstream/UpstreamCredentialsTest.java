package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.MovableClock;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the cache promises, at the boundaries of time: the clock stands still until it is moved. */
class UpstreamCredentialsTest {

  private static final Credential OPENAI = new Credential.File("openai");
  private static final CredentialSettings SETTINGS =
      new CredentialSettings(
          Duration.ofMinutes(1), Duration.ofMillis(400), Duration.ofSeconds(2), 3);

  private final MovableClock clock = new MovableClock(Instant.parse("2026-11-01T00:00:00Z"));
  private final AtomicInteger reads = new AtomicInteger();
  private volatile Supplier<String> answer = () -> "canary-1";
  private final UpstreamCredentials credentials =
      new UpstreamCredentials(
          reference -> {
            reads.incrementAndGet();
            return SecretValue.of(answer.get());
          },
          CredentialSource.unconfigured("valetkey.vault.uri"),
          ProviderTokensTest.nowhere(),
          null,
          CertificateSource.unconfigured("valetkey.vault.uri"),
          SETTINGS,
          clock);

  @AfterEach
  void close() {
    credentials.close();
  }

  @Test
  void get_withinHalfTheTtl_asksTheSourceOnce() {
    assertThat(value()).isEqualTo("canary-1");
    clock.advance(Duration.ofSeconds(29));
    assertThat(value()).isEqualTo("canary-1");
    assertThat(reads).hasValue(1);
  }

  @Test
  void get_afterHalfTheTtl_answersAtOnceAndFetchesAhead() {
    UpstreamCredential first = credential();
    answer = () -> "canary-2";
    clock.advance(Duration.ofSeconds(30));

    assertThat(value()).isEqualTo("canary-1");
    await().untilAsserted(() -> assertThat(value()).isEqualTo("canary-2"));
    assertThat(credential().version()).isGreaterThan(first.version());
    assertThat(reads).hasValue(2);
  }

  @Test
  void get_afterTheTtl_waitsForTheNewValue() {
    value();
    answer = () -> "canary-2";
    clock.advance(Duration.ofSeconds(60));
    assertThat(value()).isEqualTo("canary-2");
  }

  @Test
  void get_whenTheValueIsTheSame_keepsItsVersion() {
    UpstreamCredential first = credential();
    clock.advance(Duration.ofSeconds(60));
    UpstreamCredential second = credential();
    assertThat(second.version()).isEqualTo(first.version());
    assertThat(second.fetchedAt()).isAfter(first.fetchedAt());
  }

  @Test
  void get_byMany_isOneFetch_andCancellingOneLeavesTheOthers() {
    CountDownLatch go = new CountDownLatch(1);
    answer = () -> waitFor(go, "canary-1");
    List<CompletableFuture<UpstreamCredential>> waiting = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      waiting.add(credentials.get(OPENAI));
    }
    waiting.removeFirst().cancel(true);
    go.countDown();
    assertThat(waiting).allSatisfy(future -> assertThat(of(future)).isEqualTo("canary-1"));
    assertThat(reads).hasValue(1);
  }

  @Test
  void get_whenTheSourceHangs_refusesWithinTheDeadlineAndInterruptsIt() throws Exception {
    CountDownLatch interrupted = new CountDownLatch(1);
    answer =
        () -> {
          try {
            Thread.sleep(60_000);
          } catch (InterruptedException e) {
            interrupted.countDown();
          }
          return "canary-late";
        };
    long start = System.nanoTime();
    refused().isInstanceOf(SourceAwayException.class).hasMessageContaining("file openai");
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(2));
    assertThat(interrupted.await(2, TimeUnit.SECONDS)).isTrue();

    // What came too late is not kept.
    answer = () -> "canary-2";
    clock.advance(SETTINGS.refreshInterval());
    assertThat(value()).isEqualTo("canary-2");
  }

  @Test
  void get_whenTheSourceIsAway_usesTheOldValueForFiveMinutesAndNoLonger() {
    value();
    answer =
        () -> {
          throw new SourceAwayException("away");
        };
    clock.advance(Duration.ofSeconds(299));
    assertThat(value()).isEqualTo("canary-1");
    clock.advance(Duration.ofSeconds(1));
    refused();
  }

  @Test
  void get_whenTheSourceSaysNo_refusesAtOnce_andAgainOnceItIsAway() {
    value();
    answer = () -> refuse();
    clock.advance(Duration.ofSeconds(60));
    refused().isNotInstanceOf(SourceAwayException.class);
    answer =
        () -> {
          throw new SourceAwayException("away");
        };
    clock.advance(SETTINGS.refreshInterval());
    refused();
  }

  @Test
  void get_whenARefreshAheadSaysNo_forgetsTheValueBeforeItsTtl() {
    value();
    answer = () -> refuse();
    clock.advance(Duration.ofSeconds(31));
    value();
    await().untilAsserted(() -> refused().hasMessage("no"));
  }

  @Test
  void get_afterAFailure_doesNotAskAgainWithinTheInterval() {
    answer = () -> refuse();
    refused();
    refused();
    clock.advance(SETTINGS.refreshInterval().minusMillis(1));
    refused();
    assertThat(reads).hasValue(1);
    clock.advance(Duration.ofMillis(1));
    answer = () -> "canary-1";
    assertThat(value()).isEqualTo("canary-1");
  }

  @Test
  void get_whenTheSourceBreaks_namesTheReferenceAndNeverTheValue() {
    answer =
        () -> {
          throw new IllegalStateException("cannot parse canary-1");
        };
    refused().hasMessageContaining("file openai").hasMessageNotContaining("canary");
  }

  @Test
  void refresh_fetchesAnew_butNotTwiceWithinTheInterval() {
    value();
    clock.advance(SETTINGS.refreshInterval());
    answer = () -> "canary-2";
    assertThat(of(credentials.refresh(OPENAI))).isEqualTo("canary-2");
    answer = () -> "canary-3";
    assertThat(of(credentials.refresh(OPENAI))).isEqualTo("canary-2");
    assertThat(reads).hasValue(2);
  }

  @Test
  void drop_forgets_andAFetchUnderWayDoesNotBringItBack() {
    CountDownLatch go = new CountDownLatch(1);
    answer = () -> waitFor(go, "canary-1");
    CompletableFuture<UpstreamCredential> before = credentials.get(OPENAI);
    credentials.drop(OPENAI);
    go.countDown();
    of(before);
    assertThat(credentials.size()).isZero();

    answer = () -> "canary-2";
    assertThat(value()).isEqualTo("canary-2");
    credentials.dropAll();
    answer = () -> "canary-3";
    assertThat(value()).isEqualTo("canary-3");
  }

  @Test
  void entries_areBounded_andTheOneUnusedLongestGoes() {
    for (String name : List.of("a", "b", "c", "a", "d")) {
      of(credentials.get(new Credential.File(name)));
      clock.advance(Duration.ofSeconds(1));
    }
    assertThat(credentials.size()).isEqualTo(3);
    reads.set(0);
    of(credentials.get(new Credential.File("a")));
    assertThat(reads).hasValue(0);
  }

  @Test
  void sweep_removesWhatPassedItsGreatestAge() {
    value();
    clock.advance(CredentialSettings.MAX_AGE.minusMillis(1));
    credentials.sweep();
    assertThat(credentials.size()).isEqualTo(1);
    clock.advance(Duration.ofMillis(1));
    credentials.sweep();
    assertThat(credentials.size()).isZero();
  }

  @Test
  void get_whenItsSourceIsNotConfigured_namesTheSetting() {
    assertThatThrownBy(() -> of(credentials.get(new Credential.VaultKv("secret", "a", "b"))))
        .isInstanceOf(RefusedException.class)
        .hasMessageContaining("vault-kv secret/a#b")
        .hasMessageContaining("valetkey.vault.uri");
  }

  @Test
  void close_refusesFromThenOn() {
    value();
    credentials.close();
    refused();
    assertThat(credentials.size()).isZero();
  }

  @Test
  void toString_doesNotPrintTheValue() {
    assertThat(credential().toString()).doesNotContain("canary");
  }

  private String value() {
    return of(credentials.get(OPENAI));
  }

  private UpstreamCredential credential() {
    return credentials.get(OPENAI).join();
  }

  private org.assertj.core.api.AbstractThrowableAssert<?, ?> refused() {
    return assertThatThrownBy(this::value).isInstanceOf(RefusedException.class);
  }

  private static String of(Future<UpstreamCredential> future) {
    try {
      return future.get(10, TimeUnit.SECONDS).value().reveal();
    } catch (ExecutionException e) {
      throw (RuntimeException) e.getCause();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static String waitFor(CountDownLatch go, String value) {
    try {
      go.await();
      return value;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String refuse() {
    throw new RefusedException(io.valetkey.broker.problem.ProblemCode.CREDENTIAL_UNAVAILABLE, "no");
  }
}
