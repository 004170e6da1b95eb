package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.proofs.Tokens.Answer;
import io.valetkey.broker.token.AccessTokens;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Somebody may have got at a signing key: two replicas, each with a key and a gateway of its own,
 * are ordered to rotate. Invariants: P9.
 */
class KeyRotationTest {

  private static final Duration BOUND = Duration.ofSeconds(10);
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private final HttpClient http = HttpClient.newHttpClient();
  private RunningBroker first;
  private RunningBroker second;

  @BeforeEach
  void start() throws Exception {
    first = RunningBroker.start(Map.of());
    Map<String, String> names =
        Map.of(
            "valetkey.public-url", first.url(), "valetkey.gateway.public-url", first.gatewayUrl());
    second = first.replica(names);
    Tokens.writeOneAgent(first, ISSUER);
    new Policies(first).await(second);
  }

  @AfterEach
  void stop() {
    second.close();
    first.close();
  }

  @Test
  void revocation_endsTheTokensOfBothReplicasAtBothGateways_andBothSignAnew() throws Exception {
    Answer ofFirst = token(first);
    Answer ofSecond = token(second);
    for (RunningBroker gateway : List.of(first, second)) {
      assertThat(isVerified(gateway, ofFirst)).isTrue();
      assertThat(isVerified(gateway, ofSecond)).isTrue();
    }

    assertThat(order(true).statusCode()).isEqualTo(201);

    for (RunningBroker gateway : List.of(first, second)) {
      for (Answer old : List.of(ofFirst, ofSecond)) {
        await(() -> status(gateway, old) == 401);
        assertThat(isVerified(gateway, old)).isFalse();
      }
    }
    for (RunningBroker issuer : List.of(first, second)) {
      Answer fresh = token(issuer);
      assertThat(kid(fresh)).isNotEqualTo(kid(ofFirst)).isNotEqualTo(kid(ofSecond));
      for (RunningBroker gateway : List.of(first, second)) {
        await(() -> isVerified(gateway, fresh));
      }
    }
    assertThat(count("SELECT count(*) FROM audit_record WHERE action = 'signing_keys.rotate'"))
        .isEqualTo(1);
  }

  @Test
  void rotationWithoutRevocation_keepsTokensAndChangesKeys() throws Exception {
    Answer old = token(first);

    assertThat(order(false).statusCode()).isEqualTo(201);

    await(() -> !kid(token(first)).equals(kid(old)));
    assertThat(isVerified(first, old)).isTrue();
    assertThat(isVerified(second, old)).isTrue();
  }

  @Test
  void restoredBackup_bringsNoRevokedKeyBack() throws Exception {
    Answer old = token(first);
    try (Connection database = first.database()) {
      database.createStatement().execute("CREATE TABLE backup AS SELECT * FROM signing_key");
    }
    order(true);
    await(() -> status(first, old) == 401 && status(second, old) == 401);

    try (Connection database = first.database()) {
      database.setAutoCommit(false);
      var statement = database.createStatement();
      statement.execute("UPDATE signing_generation SET generation = 0, revoked_below = 0");
      statement.execute("DELETE FROM signing_key");
      statement.execute("INSERT INTO signing_key SELECT * FROM backup");
      database.commit();
    }

    await(() -> count("SELECT revoked_below FROM signing_generation") == 1);
    await(() -> status(first, old) == 401 && status(second, old) == 401);
    assertThat(count("SELECT count(*) FROM signing_key WHERE kid = '" + kid(old) + "'")).isZero();
    // The keys of today are not in the backup: both replicas make new ones.
    await(() -> status(second, token(first)) == 403 && status(first, token(second)) == 403);
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(Condition condition) throws Exception {
    long end = System.nanoTime() + BOUND.toNanos();
    while (!condition.holds()) {
      assertThat(System.nanoTime()).as("within " + BOUND).isLessThan(end);
      Thread.sleep(50);
    }
  }

  private Answer token(RunningBroker issuer) throws Exception {
    Answer answer =
        Tokens.ask(issuer.url(), Tokens.exchange(ISSUER.token("bot-subject", first.url())));
    assertThat(answer.status()).as(answer.body().toString()).isEqualTo(200);
    return answer;
  }

  /** What the gateway says to it; a token that counts has no rule for this path: 403. */
  private static int status(RunningBroker gateway, Answer token) throws Exception {
    URI uri = gateway.gateway("/d/openai/nothing");
    return Tokens.get(uri, "Authorization", "Bearer " + token.token()).status();
  }

  private static boolean isVerified(RunningBroker gateway, Answer token) throws Exception {
    try {
      var _ = gateway.bean(AccessTokens.class).verify(token.token());
      return status(gateway, token) == 403;
    } catch (RefusedException e) {
      return false;
    }
  }

  private static String kid(Answer token) {
    return token.parsed().getHeader().getKeyID();
  }

  private HttpResponse<String> order(boolean revoke) throws Exception {
    String body = "{\"reason\":\"a heap dump got out\",\"revoke\":" + revoke + "}";
    return http.send(
        HttpRequest.newBuilder(first.api("/admin/v1/signing-keys/rotations"))
            .header("Authorization", "Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  private long count(String query) throws Exception {
    try (Connection database = first.database();
        var rows = database.createStatement().executeQuery(query)) {
      rows.next();
      return rows.getLong(1);
    }
  }
}
