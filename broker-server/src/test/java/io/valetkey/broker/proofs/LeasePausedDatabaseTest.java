package io.valetkey.broker.proofs;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.broker.lease.OrdersDatabase;
import io.valetkey.broker.lease.VaultProxy;
import io.valetkey.broker.lease.VaultProxy.Fault;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The broker's database stops answering while a lease is handed out: the agent is refused in
 * bounded time, and no login is left that belongs to no lease. Invariants: P3, P4, L1, L2.
 */
@NeedsVault
class LeasePausedDatabaseTest {

  /**
   * Of P4: the wait for a connection, the step, its cancellation, and all that again to give up.
   */
  private static final Duration REFUSED_WITHIN = Duration.ofSeconds(10);

  /** The patience of a request, the grace for its last call, and some rounds of the reaper. */
  private static final Duration BOUND = Duration.ofSeconds(60);

  @Test
  void databaseThatHangsAtAStep_meansARefusal_andNoLoginIsLeft() throws Exception {
    try (RealVault vault = RealVault.startOwn();
        OrdersDatabase orders = new OrdersDatabase();
        OwnPostgres database = new OwnPostgres();
        VaultProxy proxy = new VaultProxy(vault.uri())) {
      orders.configure(vault);
      Map<String, String> settings =
          new HashMap<>(LeaseWorld.settings(proxy.uri(), LeaseWorld.brokerToken(vault)));
      settings.putAll(database.settings());
      try (RunningBroker broker = RunningBroker.start(settings)) {
        LeaseWorld.policy(broker, orders.origin(), "{\"maxTtl\":\"30m\"}");
        String token = LeaseWorld.token(broker.url(), "bot-subject", "orders-db");
        for (String path : List.of("auth/token/create/", "database/creds/")) {
          String method = path.startsWith("auth") ? "POST" : "GET";
          // Else it would be refused before it asks Vault, and the fault would come when nobody
          // expects it.
          await("it is ready", BOUND, () -> isReady(broker));
          proxy.plan(method, path, Fault.MEANWHILE, database::freeze);
          long begun = System.nanoTime();

          Answer refused = LeaseWorld.lease(broker.url(), token, "while-" + path.length());

          Duration took = Duration.ofNanos(System.nanoTime() - begun);
          System.out.printf("refused %d ms after %s%n", took.toMillis(), path);
          assertThat(refused.status()).isEqualTo(503);
          assertThat(took).isLessThan(REFUSED_WITHIN);
          database.thaw();
          await("no login is left", BOUND, () -> orders.dynamicRoles().isEmpty());
        }
        Answer[] again = new Answer[1];
        await(
            "it works again",
            BOUND,
            () -> {
              try {
                again[0] = LeaseWorld.lease(broker.url(), token, "again");
                return again[0].status() == 201;
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
        orders.connect(again[0].username(), again[0].password()).close();
      }
    }
  }

  private static boolean isReady(RunningBroker broker) {
    URI probe = URI.create(broker.managementUrl() + "/actuator/health/readiness");
    try (HttpClient http = HttpClient.newHttpClient()) {
      return http.send(HttpRequest.newBuilder(probe).build(), BodyHandlers.discarding())
              .statusCode()
          == 200;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
