package io.valetkey.client.hikari;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.util.Credentials;
import io.valetkey.client.RefusedException;
import io.valetkey.client.testing.FakeValetkey;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a pool is told; that it works with a pool and a database is shown by the server's tests. */
class LeasedLoginsTest {
  private final FakeValetkey fake =
      FakeValetkey.builder().leaseLife(Duration.ofMinutes(10), Duration.ofMinutes(10)).start();
  private final HikariDataSource pool = new HikariDataSource();

  @AfterEach
  void stop() {
    pool.close();
    fake.close();
  }

  private LeasedLogins attach() {
    return LeasedLogins.attach(pool, fake.connect().destination("orders-db"));
  }

  @Test
  void attach_givesThePoolAddressLoginAndLifetime() {
    try (LeasedLogins logins = attach()) {
      Credentials login = pool.getCredentialsProvider().getCredentials();

      assertThat(pool.getJdbcUrl()).isEqualTo("jdbc:postgresql://localhost:5432/orders-db");
      assertThat(login.getUsername()).startsWith("v-fake-");
      assertThat(login.getPassword()).isNotEmpty();
      assertThat(Duration.ofMillis(pool.getMaxLifetime()))
          .isBetween(Duration.ofSeconds(565), Duration.ofSeconds(570));
      assertThat(logins.toString()).doesNotContain(login.getPassword());
    }
    assertThat(fake.liveLeases()).isZero();
  }

  @Test
  void attach_leavesAnAddressThatIsThere_andAsksForNothingYet() {
    pool.setJdbcUrl("jdbc:postgresql://elsewhere/orders?ssl=true");
    attach();
    assertThat(pool.getJdbcUrl()).contains("elsewhere");
    assertThat(fake.issuedLeases()).isZero();
  }

  @Test
  void attach_toWhatIsNoDatabase_isRefused() {
    fake.lease("orders-db", "https://sts.amazonaws.com", () -> Map.of("access_key_id", "AKIA"));
    assertThatThrownBy(this::attach).isInstanceOf(IllegalStateException.class);
    assertThat(fake.liveLeases()).as("nothing is left behind").isZero();
  }

  @Test
  void getCredentials_afterARefusal_saysSo() {
    pool.setJdbcUrl("jdbc:postgresql://elsewhere/orders");
    LeasedLogins logins = attach();
    fake.deny("orders-db", "invalid_request");
    assertThatThrownBy(logins::getCredentials).isInstanceOf(RefusedException.class);
  }

  @ParameterizedTest
  @CsvSource({
    "PT10M, PT30S, PT9M30S", // The longest use, where there is room for it.
    "PT61S, PT30S, PT31S",
    "PT60S, PT30S, PT30S",
    "PT10S, PT30S, PT5S", // Half of the rest, where there is not.
    "PT10S, PT0S, PT10S",
    "PT0S, PT30S, PT0.001S", // Never zero, which would be for ever.
    "PT-5S, PT30S, PT0.001S",
  })
  void lifetime_leavesTheLongestUse(Duration left, Duration use, Duration lifetime) {
    assertThat(LeasedLogins.lifetime(left, use)).isEqualTo(lifetime);
  }
}
