package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.jwk.JWKSet;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.evidence.AuditVerification;
import io.valetkey.broker.evidence.AuditVerifier;
import io.valetkey.broker.proofs.Tokens.Answer;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The broker as a process of its own, killed with SIGKILL under load: every token that a client
 * holds is in the audit trail, and a restart takes nothing from anybody. Invariants: P1, P10.
 */
class KillTest {

  private static final Duration ALL_ROUNDS = Duration.ofSeconds(60);
  private static final int LEAST_ROUNDS = 4;
  private static final TestIssuer ISSUER = new TestIssuer("ci");

  @TempDir private Path folder;

  @Test
  void kill_atRandomMomentsUnderLoad_leavesARecordOfEveryTokenThatWasAnswered() throws Exception {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    long end = System.nanoTime() + ALL_ROUNDS.toNanos();
    List<Answer> granted = new ArrayList<>();
    int cutOff = 0;
    int rounds = 0;
    try (RunningBroker first = RunningBroker.start(Map.of())) {
      Tokens.writeOneAgent(first, ISSUER);
      makeFlushesSlow(first);
      int port = RunningBroker.freePort();
      Map<String, String> form =
          Tokens.exchange(ISSUER.token("bot-subject", "http://127.0.0.1:" + port));
      while (rounds < LEAST_ROUNDS || System.nanoTime() < end) {
        Process broker = start(first, port);
        try {
          String url = "http://127.0.0.1:" + port;
          granted.add(firstToken(broker, url, form));
          Load load = new Load(12, url, form);
          Thread.sleep(200 + random.nextInt(1500));
          // SIGKILL: no hook, no handler, nothing is written any more.
          broker.destroyForcibly().waitFor();
          load.close();
          granted.addAll(load.granted());
          cutOff += load.unanswered();
          rounds++;
        } finally {
          broker.destroyForcibly();
        }
      }
      String what = rounds + " kills, seed " + seed;
      assertThat(granted).as(what).hasSizeGreaterThan(rounds * 5);
      assertThat(cutOff).as("requests that a kill cut off, " + what).isPositive();
      List<String> answered = granted.stream().map(Answer::jti).toList();
      assertThat(answered).doesNotHaveDuplicates();
      try (var database = first.database()) {
        Set<String> recorded = Tokens.recorded(database);
        assertThat(recorded).as(what).containsAll(answered);
      }
      requireVerifiable(first, granted);
      // No kill looks like somebody's hand in the trail.
      assertThat(first.bean(AuditVerifier.class).verify(null, null).outcome())
          .as(what)
          .isEqualTo(AuditVerification.Outcome.SOUND);
    }
  }

  /** So that a kill finds many requests between their decision and their record. */
  private static void makeFlushesSlow(RunningBroker broker) throws Exception {
    try (var database = broker.database();
        var statement = database.createStatement()) {
      statement.execute(
          "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
              + " $$ BEGIN PERFORM pg_sleep(0.03); RETURN NULL; END $$");
      statement.execute(
          "CREATE TRIGGER slow AFTER INSERT ON audit_record"
              + " FOR EACH STATEMENT EXECUTE FUNCTION slow()");
    }
  }

  private Process start(RunningBroker first, int port) throws IOException {
    int gateway = RunningBroker.freePort();
    Map<String, String> settings =
        Map.of(
            "spring.datasource.url",
            "jdbc:postgresql://localhost:"
                + RunningBroker.postgresPort()
                + "/"
                + first.databaseName(),
            "spring.datasource.username",
            "postgres",
            "spring.datasource.password",
            "postgres",
            "server.port",
            String.valueOf(port),
            "management.server.port",
            "0",
            "valetkey.public-url",
            "http://127.0.0.1:" + port,
            "valetkey.gateway.public-url",
            "http://127.0.0.1:" + gateway,
            "valetkey.gateway.port",
            String.valueOf(gateway),
            "valetkey.gateway.address",
            "127.0.0.1",
            "valetkey.issuance.tokens-per-minute",
            "10000000");
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "io.valetkey.broker.BrokerApplication"));
    settings.forEach((name, value) -> command.add("--" + name + "=" + value));
    var log = folder.resolve("broker.log").toFile();
    return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log).start();
  }

  private Answer firstToken(Process broker, String url, Map<String, String> form) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (broker.isAlive() && System.nanoTime() < end) {
      try {
        Answer answer = Tokens.ask(url, form);
        if (answer.hasToken()) {
          return answer;
        }
      } catch (IOException e) {
        // It does not listen yet.
      }
      Thread.sleep(50);
    }
    throw new AssertionError("no token:\n" + Files.readString(folder.resolve("broker.log")));
  }

  /** The keys of the dead are still published: what they signed is worth what it says. */
  private static void requireVerifiable(RunningBroker alive, List<Answer> granted)
      throws Exception {
    JWKSet keys = JWKSet.load(URI.create(alive.url() + "/oauth2/jwks").toURL());
    for (Answer answer : granted) {
      var token = answer.parsed();
      var key = keys.getKeyByKeyId(token.getHeader().getKeyID());
      assertThat(key).as("the key of a broker that was killed").isNotNull();
      assertThat(token.verify(new ECDSAVerifier(key.toECKey()))).isTrue();
    }
  }
}
