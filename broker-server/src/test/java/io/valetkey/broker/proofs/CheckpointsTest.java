package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.feed.Connections;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Checkpoints go on, it shows when they do not, and an administrator can ask what they prove.
 * Invariant: E9.
 */
class CheckpointsTest {

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static final Map<String, String> NEVER =
      Map.of("valetkey.audit.checkpoint-interval", "1h");
  private static final Map<String, String> OFTEN =
      Map.of("valetkey.audit.checkpoint-interval", "1s");

  private static final String UNCOVERED =
      "SELECT count(*) FROM audit_seal WHERE position >"
          + " (SELECT coalesce(max(upto), 0) FROM audit_checkpoint)";

  @TempDir Path folder;

  @Test
  void checkpoint_whenTheReplicaThatMadeTheLastIsKilled_isMadeByAnother() throws Exception {
    try (RunningBroker broker = RunningBroker.start(NEVER)) {
      Tokens.writeOneAgent(broker, ISSUER);
      try (BrokerProcess first = BrokerProcess.replica(broker, folder, OFTEN)) {
        write(broker);
        await(() -> number(broker, "SELECT count(*) FROM audit_checkpoint") > 0);
        try (BrokerProcess second = BrokerProcess.replica(broker, folder, OFTEN)) {
          first.kill();
          write(broker);
          await(() -> number(broker, UNCOVERED) == 0);
          assertThat(second.isReady()).isTrue();
        }
      }
    }
  }

  @Test
  void whenNoCheckpointIsMade_theMetricGrowsUntilOneIs() throws Exception {
    try (RunningBroker broker = RunningBroker.start(OFTEN)) {
      Tokens.writeOneAgent(broker, ISSUER);
      try (Connection other = broker.database()) {
        other.setAutoCommit(false);
        other
            .createStatement()
            .execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('valetkey.audit.checkpoint', 0))");
        write(broker);
        await(() -> overdue(broker) > 2);
      }
      await(() -> overdue(broker) == 0);
      assertThat(number(broker, UNCOVERED)).isZero();
    }
  }

  @Test
  void rowOfAReplicaThatIsNoCheckpoint_raisesTheMetric_untilTheRunbookIsFollowed()
      throws Exception {
    Path exported = folder.resolve("audit.json");
    Map<String, String> settings = new HashMap<>(OFTEN);
    settings.put("valetkey.audit.sinks.file", exported.toString());
    try (RunningBroker broker = RunningBroker.start(settings)) {
      Tokens.writeOneAgent(broker, ISSUER);
      write(broker);
      await(() -> number(broker, UNCOVERED) == 0);
      try (Connection replica = broker.bean(Connections.class).open()) {
        replica.setAutoCommit(false);
        replica
            .createStatement()
            .execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('valetkey.audit.checkpoint', 0))");
        write(broker);
        replica
            .createStatement()
            .execute(
                "INSERT INTO audit_checkpoint SELECT (SELECT max(number) + 1 FROM audit_checkpoint),"
                    + " now(), max(position), 'x' FROM audit_seal");
        replica.commit();
      }
      assertThat(number(broker, UNCOVERED)).isZero();
      await(() -> overdue(broker) > 2);

      long junk = number(broker, "SELECT number FROM audit_checkpoint WHERE jws = 'x'");
      await(() -> times(exported, "\"checkpoint " + junk + "\"") == 1);
      try (Connection owner = broker.database()) {
        for (String statement : removal()) {
          owner.createStatement().execute(statement.replace("$CHECKPOINT", Long.toString(junk)));
        }
      }
      await(() -> overdue(broker) == 0);
      write(broker);
      await(() -> times(exported, "\"checkpoint " + junk + "\"") == 2);
      assertThat(number(broker, "SELECT max(number) FROM audit_checkpoint"))
          .isGreaterThanOrEqualTo(junk);
    }
  }

  /** What the runbook of the alert has the owner of the schema do. */
  private static List<String> removal() throws Exception {
    Path page = ObservedBroker.repository().resolve("docs/runbooks/audit-checkpoint-overdue.md");
    String command =
        Files.readAllLines(page).stream()
            .filter(line -> line.startsWith("psql ") && line.contains("DELETE"))
            .findFirst()
            .orElseThrow();
    return Pattern.compile("-c \"([^\"]+)\"")
        .matcher(command)
        .results()
        .map(found -> found.group(1))
        .toList();
  }

  private static long times(Path file, String text) throws Exception {
    return Files.readAllLines(file).stream().filter(line -> line.contains(text)).count();
  }

  @Test
  void whenCheckpointsCannotEvenBeRead_theMetricGrows() throws Exception {
    try (RunningBroker broker = RunningBroker.start(OFTEN);
        Connection owner = broker.database()) {
      await(() -> overdue(broker) == 0);
      owner.createStatement().execute("REVOKE SELECT ON audit_checkpoint FROM valetkey_app");
      await(() -> overdue(broker) > 2);
      owner.createStatement().execute("GRANT SELECT ON audit_checkpoint TO valetkey_app");
      await(() -> overdue(broker) == 0);
    }
  }

  @Test
  void verification_byHttp_saysWhatItFound() throws Exception {
    try (RunningBroker broker = RunningBroker.start(OFTEN)) {
      Tokens.writeOneAgent(broker, ISSUER);
      write(broker);
      await(() -> number(broker, UNCOVERED) == 0);
      Tokens.Answer sound = verify(broker, "");
      assertThat(sound.status()).isEqualTo(200);
      assertThat(sound.body().get("outcome").stringValue()).isEqualTo("sound");
      assertThat(sound.body().get("records").longValue()).isPositive();
      assertThat(verify(broker, "?since=yesterday").status()).isEqualTo(400);
      assertThat(verify(broker, "?from=" + Instant.now()).status()).isEqualTo(400);

      try (Connection owner = broker.database()) {
        owner
            .createStatement()
            .execute("UPDATE audit_record SET agent = 'another' WHERE action = 'token.issue'");
      }
      Tokens.Answer changed = verify(broker, "?since=" + Instant.now().minus(Duration.ofHours(1)));
      assertThat(changed.status()).isEqualTo(200);
      assertThat(changed.body().get("outcome").stringValue()).isEqualTo("tampered");
      assertThat(changed.body().at("/findings/0/kind").stringValue()).isEqualTo("record_changed");
    }
  }

  private static Tokens.Answer verify(RunningBroker broker, String query) throws Exception {
    return Tokens.get(
        broker.api("/admin/v1/audit/verification" + query),
        "Authorization",
        "Bearer " + RunningBroker.BOOTSTRAP_TOKEN);
  }

  private static void write(RunningBroker broker) throws Exception {
    Map<String, String> form = Tokens.exchange(ISSUER.token("bot-subject", broker.url()));
    assertThat(Tokens.ask(broker.url(), form).status()).isEqualTo(200);
  }

  private static double overdue(RunningBroker broker) throws Exception {
    URI metrics = URI.create(broker.managementUrl() + "/actuator/prometheus");
    return Tokens.raw(metrics)
        .lines()
        .filter(line -> line.startsWith("valetkey_audit_checkpoint_overdue_seconds "))
        .mapToDouble(line -> Double.parseDouble(line.split(" ", 2)[1]))
        .findAny()
        .orElseThrow();
  }

  private static long number(RunningBroker broker, String query) throws Exception {
    try (Connection owner = broker.database();
        var row = owner.createStatement().executeQuery(query)) {
      row.next();
      return row.getLong(1);
    }
  }

  private static void await(Callable<Boolean> condition) throws Exception {
    for (int i = 0; i < 300 && !condition.call(); i++) {
      Thread.sleep(100);
    }
    assertThat(condition.call()).isTrue();
  }
}
