package io.valetkey.broker.lease;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.broker.lease.VaultProxy.Fault;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Nobody is left to end leases, or Vault cannot. Invariants: P3, L3, L5. */
@NeedsVault
class DeadBrokerTest {

  private static final String SHORT = "{\"destination\":\"orders-db\",\"scope\":\"short\"}";
  private static final String LONG = "{\"destination\":\"orders-db\",\"scope\":\"read\"}";

  @TempDir private Path folder;

  private RealVault vault;
  private OrdersDatabase orders;
  private Map<String, String> settings;

  @BeforeEach
  void start() {
    vault = RealVault.startOwn();
    orders = new OrdersDatabase();
    orders.configure(vault);
    settings = LeaseWorld.settings(vault.uri().toString(), LeaseWorld.brokerToken(vault));
  }

  @AfterEach
  void stop() {
    orders.close();
    vault.close();
  }

  private void policy(RunningBroker broker) throws Exception {
    LeaseWorld.policy(broker, orders.origin(), "{\"maxTtl\":\"30m\"}");
    new Policies(broker)
        .scope("orders-db", "short", "{\"lease\":{\"maxTtl\":\"5s\"}}")
        .destination("orders-db-2", LeaseWorld.destination(orders.origin(), "orders-ro", ""))
        .write(
            "grant",
            "bot-orders",
            "UPDATE agent_grant SET spec = ?::jsonb WHERE name = 'bot-orders'",
            "{\"agent\":\"bot\",\"destination\":\"orders-db\",\"scopes\":[\"read\",\"short\"]}")
        .await(broker);
  }

  private static String token(String url) throws Exception {
    return LeaseWorld.token(url, "bot-subject", "orders-db");
  }

  /** A dead man's switch: owner tokens lapse, and Vault ends what they own. */
  @Test
  void brokersThatAreGoneForGood_leaveNoLogin() throws Exception {
    // It shares the database and knows no Vault, so it can end nothing.
    try (RunningBroker bystander = RunningBroker.start(Map.of());
        VaultProxy proxy = new VaultProxy(vault.uri())) {
      policy(bystander);
      Map<String, String> proxied =
          LeaseWorld.settings(proxy.uri(), settings.get("valetkey.vault.token"));
      Answer handedOut;
      try (BrokerProcess broker = BrokerProcess.start(bystander, folder, proxied)) {
        String token = token(broker.url());
        handedOut = LeaseWorld.lease(broker.url(), token, "handed-out", SHORT);
        proxy.plan("GET", "database/creds/", Fault.AFTER, broker::kill);
        assertThatThrownBy(() -> LeaseWorld.lease(broker.url(), token, "half-way", LONG))
            .isInstanceOf(IOException.class);
      }
      assertThat(orders.dynamicRoles()).hasSize(2).contains(handedOut.username());

      await(
          "Vault has ended both by itself",
          Duration.ofSeconds(80),
          () -> orders.dynamicRoles().isEmpty());
    }
  }

  /** What docs/concepts/leases.md says of a sealed Vault. */
  @Test
  void sealedVault_keepsWhatIsHandedOut_andWhatHadToEndGoesWhenItIsUnsealed() throws Exception {
    try (RunningBroker broker = RunningBroker.start(settings)) {
      policy(broker);
      Answer lasting = LeaseWorld.lease(broker.url(), token(broker.url()), "lasting", LONG);
      Answer ending = LeaseWorld.lease(broker.url(), token(broker.url()), "ending", SHORT);
      vault.seal();
      Answer refused = LeaseWorld.lease(broker.url(), token(broker.url()), "refused", LONG);
      // Longer than the owner token of the short lease: 5 s and half a minute.
      Thread.sleep(Duration.ofSeconds(38).toMillis());

      assertThat(refused.status()).isEqualTo(503);
      assertThat(orders.dynamicRoles()).contains(lasting.username(), ending.username());
      Answer waiting =
          LeaseWorld.send(
              "GET", broker.url() + "/v1/leases/" + ending.id(), token(broker.url()), null);
      assertThat(waiting.state()).isEqualTo("irrevocable");
      orders.connect(lasting.username(), lasting.password()).close();
      vault.unseal();

      await(
          "what had to end is gone",
          Duration.ofSeconds(45),
          () -> orders.dynamicRoles().equals(List.of(lasting.username())));
      orders.connect(lasting.username(), lasting.password()).close();
    }
  }
}
