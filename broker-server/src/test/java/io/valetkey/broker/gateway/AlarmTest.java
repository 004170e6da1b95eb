package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.util.concurrent.DefaultEventExecutor;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class AlarmTest {

  private final DefaultEventExecutor loop = new DefaultEventExecutor();
  private final Alarm alarm = new Alarm(loop);
  private final List<String> rung = new CopyOnWriteArrayList<>();
  private final long begun = System.nanoTime();

  @AfterEach
  void stop() {
    loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
  }

  /** Sets the alarm for so many milliseconds after the beginning of the test. */
  private void set(int millis, String name) {
    loop.submit(() -> alarm.set(begun + millis * 1_000_000L, () -> rung.add(name)))
        .syncUninterruptibly();
  }

  private List<String> rungAfter(int millis) throws Exception {
    long left = begun + millis * 1_000_000L - System.nanoTime();
    Thread.sleep(Math.max(0, left / 1_000_000));
    CompletableFuture<Void> idle = new CompletableFuture<>();
    loop.execute(() -> idle.complete(null));
    idle.get(5, TimeUnit.SECONDS);
    return List.copyOf(rung);
  }

  @Test
  void set_whenMovedAway_ringsAtTheLaterTimeAlone() throws Exception {
    set(200, "early");
    set(900, "late");
    assertThat(rungAfter(600)).isEmpty();
    assertThat(rungAfter(1500)).containsExactly("late");
  }

  @Test
  void set_whenMovedNearer_ringsAtTheEarlierTime() throws Exception {
    set(60_000, "late");
    set(200, "early");
    assertThat(rungAfter(800)).containsExactly("early");
  }

  @Test
  void set_afterItRang_ringsAgain() throws Exception {
    set(100, "one");
    assertThat(rungAfter(500)).containsExactly("one");
    set(600, "two");
    assertThat(rungAfter(1200)).containsExactly("one", "two");
  }

  @Test
  void clear_ringsNeverUnlessSetAgain() throws Exception {
    set(200, "cleared");
    loop.submit(alarm::clear).syncUninterruptibly();
    assertThat(rungAfter(600)).isEmpty();
    set(800, "again");
    assertThat(rungAfter(1400)).containsExactly("again");
    loop.submit(alarm::close).syncUninterruptibly();
  }
}
