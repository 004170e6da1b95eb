package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.proofs.Tokens.Answer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * While the audit trail cannot be written nothing is issued, callers are told so in bounded time,
 * and the broker recovers by itself. Invariants: P1, P4.
 */
class AuditFailureTest {

  /** The audit's deadline, and as much again for everything else on a busy machine. */
  private static final Duration BOUND = Duration.ofSeconds(1);

  private static final Duration RECOVERY = Duration.ofSeconds(10);

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private OwnPostgres postgres;
  private RunningBroker broker;
  private Map<String, String> form;

  @BeforeEach
  void start() throws Exception {
    postgres = new OwnPostgres();
    broker = RunningBroker.onDatabase("postgres", with("valetkey.stop.staleness", "3s"));
    Tokens.writeOneAgent(broker, ISSUER);
    form = Tokens.exchange(ISSUER.token("bot-subject", broker.url()));
    assertThat(ask().hasToken()).isTrue();
  }

  private Map<String, String> with(String name, String value) {
    Map<String, String> settings = new HashMap<>(postgres.settings());
    settings.put(name, value);
    return settings;
  }

  @AfterEach
  void stop() throws Exception {
    postgres.thaw();
    broker.close();
    postgres.close();
  }

  private Answer ask() throws Exception {
    return Tokens.ask(broker.url(), form);
  }

  private static void requireUnavailable(Answer answer) {
    assertThat(answer.hasToken()).as(answer.http().body()).isFalse();
    assertThat(answer.status()).as(answer.http().body()).isEqualTo(503);
    assertThat(answer.error()).isEqualTo("temporarily_unavailable");
    assertThat(answer.http().headers().firstValue("Retry-After")).isPresent();
    assertThat(answer.took()).isLessThan(BOUND);
  }

  private Answer awaitToken() throws Exception {
    long end = System.nanoTime() + RECOVERY.toNanos();
    Answer answer = ask();
    while (!answer.hasToken() && System.nanoTime() < end) {
      Thread.sleep(50);
      answer = ask();
    }
    assertThat(answer.hasToken()).as("recovered by itself: " + answer.http().body()).isTrue();
    return answer;
  }

  private void requireRecords(Iterable<Answer> granted) throws Exception {
    List<String> answered = new ArrayList<>();
    granted.forEach(answer -> answered.add(answer.jti()));
    try (var database = broker.database()) {
      assertThat(Tokens.recorded(database)).containsAll(answered);
    }
  }

  @Test
  void tokenRequest_whileTheDatabaseIsFrozen_isRefusedInTime_andServedAgainAfterwards()
      throws Exception {
    postgres.freeze();
    // Past the time-out of the connection, and past the bound of the view of stops.
    long end = System.nanoTime() + Duration.ofSeconds(7).toNanos();
    int refused = 0;
    try (var clients = Executors.newVirtualThreadPerTaskExecutor()) {
      while (System.nanoTime() < end) {
        List<Callable<Answer>> burst = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
          burst.add(this::ask);
        }
        for (Future<Answer> answer : clients.invokeAll(burst)) {
          requireUnavailable(answer.get());
          refused++;
        }
        Thread.sleep(100);
      }
    }
    assertThat(refused).isGreaterThan(100);
    postgres.thaw();

    requireRecords(List.of(awaitToken()));
  }

  @Test
  void badRequest_whileTheDatabaseIsFrozen_isRefusedInTimeToo() throws Exception {
    Map<String, String> bad = new HashMap<>(form);
    bad.put("subject_token", ISSUER.token("nobody", broker.url()));
    postgres.freeze();

    requireUnavailable(Tokens.ask(broker.url(), bad));
  }

  @Test
  void dpopRequest_whileTheDatabaseIsFrozen_isRefusedWithinTheBoundOfTokens() throws Exception {
    String url = broker.url() + "/oauth2/token";
    assertThat(Tokens.ask(broker.url(), form, "DPoP", Proof.on(url).sign()).hasToken()).isTrue();
    postgres.freeze();

    Answer answer = Tokens.ask(broker.url(), form, "DPoP", Proof.on(url).sign());

    assertThat(answer.status()).as(answer.http().body()).isEqualTo(503);
    assertThat(answer.took()).isLessThan(Duration.ofSeconds(5));
    postgres.thaw();
    awaitToken();
    long end = System.nanoTime() + RECOVERY.toNanos();
    while (!Tokens.ask(broker.url(), form, "DPoP", Proof.on(url).sign()).hasToken()) {
      assertThat(System.nanoTime()).isLessThan(end);
    }
  }

  @Test
  void fullQueue_isARefusalAtOnce_neverASilentLoss() throws Exception {
    AuditLog audit = broker.bean(AuditLog.class);
    postgres.freeze();
    List<java.util.concurrent.CompletableFuture<?>> receipts = new ArrayList<>();
    // The first batch is with the database already; the second fills the queue.
    for (int i = 0; i < 10_000; i++) {
      receipts.add(audit.open("test.fill").refused(ProblemCode.INVALID_REQUEST, "fills"));
    }
    assertThat(receipts.getLast()).isCompletedExceptionally();

    Answer answer = ask();

    requireUnavailable(answer);
    assertThat(answer.took()).isLessThan(Duration.ofMillis(400));
    postgres.thaw();
    awaitToken();
    long durable = receipts.stream().filter(r -> !r.isCompletedExceptionally()).count();
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery("SELECT count(*) FROM audit_record WHERE action = 'test.fill'")) {
      rows.next();
      assertThat(rows.getLong(1)).isGreaterThanOrEqualTo(durable);
    }
  }

  @Test
  void crashOfTheDatabase_losesNoRecordOfAnAnsweredToken_evenWhereCommitsAreLazyByDefault()
      throws Exception {
    try (var database = broker.database()) {
      database.createStatement().execute("ALTER DATABASE postgres SET synchronous_commit = off");
    }
    for (int i = 0; i < 3; i++) {
      Load load = new Load(8, broker.url(), form);
      Thread.sleep(1000);
      postgres.crash();
      Thread.sleep(300);
      requireUnavailable(ask());
      postgres.restart();
      awaitToken();
      load.close();
      assertThat(load.granted()).isNotEmpty();
      requireRecords(load.granted());
    }
  }

  @Test
  void connectionsKilledUnderLoad_neverLetATokenOutWithoutItsRecord() throws Exception {
    int killed = 0;
    Load load = new Load(16, broker.url(), form);
    try (var database = broker.database();
        var kill =
            database.prepareStatement(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    + " WHERE application_name = 'valetkey' AND pid <> pg_backend_pid()"
                    + " AND (state = 'active' OR query LIKE '%audit_record%')")) {
      for (int i = 0; i < 60; i++) {
        Thread.sleep(50);
        try (var rows = kill.executeQuery()) {
          rows.next();
          killed += rows.getInt(1);
        }
      }
    }
    awaitToken();
    load.close();

    assertThat(killed).isGreaterThan(10);
    assertThat(load.refused()).isNotEmpty().allMatch(answer -> answer.status() == 503);
    assertThat(load.unanswered()).isZero();
    assertThat(load.granted()).hasSizeGreaterThan(20);
    requireRecords(load.granted());
  }
}
