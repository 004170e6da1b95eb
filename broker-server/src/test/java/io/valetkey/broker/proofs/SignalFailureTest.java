package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jwt.JWTClaimsSet;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestCluster;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Date;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/**
 * A signal that could not be stored is refused in bounded time, and counts when it comes again: its
 * id is not used up by the failure. Invariants: F2, P4.
 */
class SignalFailureTest {

  private static final TestCluster PROVIDER = new TestCluster("idp");
  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  @Test
  void securityEvent_whileTheDatabaseIsFrozen_isRefusedInTime_andCountsAfterwards()
      throws Exception {
    try (OwnPostgres postgres = new OwnPostgres()) {
      Map<String, String> settings = new HashMap<>(postgres.settings());
      settings.put("valetkey.signals.transmitters", "idp=idp");
      try (RunningBroker broker = RunningBroker.onDatabase("postgres", settings)) {
        write(broker);
        String token = revoked(broker);
        postgres.freeze();
        long begun = System.nanoTime();
        HttpResponse<String> refused = push(broker, token);
        Duration took = Duration.ofNanos(System.nanoTime() - begun);
        postgres.thaw();

        assertThat(refused.statusCode()).isEqualTo(503);
        assertThat(refused.headers().firstValue("Retry-After")).isPresent();
        assertThat(took).isLessThan(Duration.ofSeconds(10));

        HttpResponse<String> again = push(broker, token);
        for (int i = 0; i < 100 && again.statusCode() == 503; i++) {
          Thread.sleep(100);
          again = push(broker, token);
        }
        assertThat(again.statusCode()).as(again.body()).isEqualTo(202);
        assertThat(stops(broker)).isEqualTo(1);
      }
    }
  }

  private static void write(RunningBroker broker) throws Exception {
    new Policies(broker)
        .write(
            "issuer",
            "idp",
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            "idp",
            PROVIDER.spec("oidc"),
            PROVIDER.issuer())
        .agent("bot", "idp", "bot-subject", "")
        .write(
            "signal-rule",
            "revoked",
            "INSERT INTO signal_rule (name, spec, version) VALUES (?, ?::jsonb, 1)",
            "revoked",
            "{\"source\":\"ssf\",\"match\":{\"event\":\"session-revoked\"},\"action\":\"stop\"}")
        .await(broker);
  }

  private static String revoked(RunningBroker broker) {
    return PROVIDER.sign(
        "secevent+jwt",
        new JWTClaimsSet.Builder()
            .issuer(PROVIDER.issuer())
            .audience(broker.url())
            .issueTime(new Date())
            .jwtID(UUID.randomUUID().toString())
            .claim(
                "sub_id",
                Map.of("format", "iss_sub", "iss", PROVIDER.issuer(), "sub", "bot-subject"))
            .claim(
                "events",
                Map.of(
                    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
                    Map.of()))
            .build());
  }

  private static HttpResponse<String> push(RunningBroker broker, String token) throws Exception {
    return CLIENT.send(
        HttpRequest.newBuilder(broker.api("/admin/v1/signals"))
            .header("Content-Type", "application/secevent+jwt")
            .POST(BodyPublishers.ofString(token))
            .build(),
        BodyHandlers.ofString());
  }

  private static int stops(RunningBroker broker) throws Exception {
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery("SELECT count(*) FROM stop WHERE target = 'bot'")) {
      rows.next();
      return rows.getInt(1);
    }
  }
}
