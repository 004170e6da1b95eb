package io.valetkey.client;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.sun.net.httpserver.HttpExchange;
import io.valetkey.client.testing.FakeValetkey;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** One lease, from being handed out to being given back, over real HTTP. */
class LeaseTest {
  private static final String ISSUED =
      "{\"id\":\"l-1\",\"destination\":\"orders-db\",\"scope\":\"read\",\"state\":\"active\","
          + "\"expires_at\":\"2031-01-01T00:00:00Z\",\"expires_in\":60,\"renewable\":false,"
          + "\"credential\":{\"type\":\"pki\",\"url\":\"https://pki.test\",\"private_key\":\"k\","
          + "\"ca_chain\":[\"one\",\"two\"],\"nothing\":null}}";

  private final MovableClock clock = new MovableClock();
  private final FakeValetkey fake =
      FakeValetkey.builder()
          .clock(clock)
          .leaseLife(Duration.ofSeconds(100), Duration.ofSeconds(250))
          .start();
  private final Valetkey valetkey = fake.connect();

  @AfterEach
  void stop() {
    fake.close();
  }

  private static Valetkey connect(FakeValetkey tokens, RawServer broker, Duration timeout) {
    broker.script =
        exchange -> {
          throw new IllegalStateException("no script");
        };
    return Valetkey.builder()
        .brokerUrl(broker.url())
        .identity(tokens::identityToken)
        .timeout(timeout)
        .build();
  }

  @Test
  void lease_isALoginOfItsOwn_untilItIsClosed() {
    try (Lease first = valetkey.lease("orders-db");
        Lease second = valetkey.lease("orders-db")) {
      assertThat(first.username()).isNotEqualTo(second.username());
      assertThat(first.password()).isNotEqualTo(second.password());
      assertThat(first.expiresAt()).isEqualTo(clock.instant().plusSeconds(100));
      assertThat(first.jdbcUrl()).isEqualTo("jdbc:postgresql://localhost:5432/orders-db");
      assertThat(first.properties())
          .containsOnly(
              Map.entry("user", first.username()), Map.entry("password", first.password()));
      assertThat(fake.liveLeases()).isEqualTo(2);
      first.close();
      assertThat(fake.liveLeases()).isEqualTo(1);
    }
    assertThat(fake.liveLeases()).isZero();
  }

  @Test
  void lease_printsNoSecret() {
    fake.lease(
        "orders-db", "postgresql://db/x", () -> Map.of("username", "u", "password", "s3cr3t"));
    CurrentLease current = valetkey.destination("orders-db").currentLease();
    Lease lease = current.get();

    assertThat(lease.password()).isEqualTo("s3cr3t");
    assertThat(lease + " " + current).contains("redacted").doesNotContain("s3cr3t");
    assertThatThrownBy(() -> lease.get("session_token"))
        .isInstanceOf(NoSuchElementException.class)
        .hasMessageContaining("username")
        .hasMessageNotContaining("s3cr3t");
  }

  @Test
  void jdbcUrl_ofWhatIsNoDatabase_isRefused() {
    fake.lease("aws", "https://sts.amazonaws.com", () -> Map.of("access_key_id", "AKIA"));
    Lease lease = valetkey.lease("aws");

    assertThat(lease.get("access_key_id")).isEqualTo("AKIA");
    assertThat(lease.find("session_token")).isEmpty();
    assertThatThrownBy(lease::jdbcUrl).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void lease_underOneScope_asksForIt() {
    Lease lease = valetkey.destination("orders-db").withScopes("read").lease();
    assertThat(lease.scope()).isEqualTo("read");
  }

  @Test
  void renew_livesLonger_untilItsLongestLife() {
    Lease lease = valetkey.lease("orders-db");
    clock.advance(Duration.ofSeconds(80));
    assertThat(lease.renew()).isTrue();
    assertThat(lease.expiresAt()).isEqualTo(clock.instant().plusSeconds(100));
    clock.advance(Duration.ofSeconds(90));
    assertThat(lease.renew()).isTrue();
    assertThat(lease.expiresAt()).isEqualTo(clock.instant().plusSeconds(80));
    clock.advance(Duration.ofSeconds(79));
    assertThat(lease.renew()).isFalse();
    assertThat(lease.remaining()).isEqualTo(Duration.ofSeconds(1));
    clock.advance(Duration.ofSeconds(2));
    assertThat(lease.remaining()).isZero();
    assertThat(lease.renew()).isFalse();
  }

  @Test
  void lease_whoseAnswerWasLost_isTakenBack() {
    fake.loseNextLease();
    Lease lease = valetkey.lease("orders-db");

    assertThat(fake.issuedLeases()).isEqualTo(2);
    assertThat(fake.liveLeases()).isEqualTo(1);
    assertThat(lease.renew()).as("it is the live one").isNotNull();
  }

  @Test
  void lostAnswer_keepsItsKeyUntilTheOutcomeIsKnown() throws Exception {
    try (RawServer broker = new RawServer()) {
      Valetkey valetkey = connect(fake, broker, Duration.ofMillis(400));
      var keys = new CopyOnWriteArrayList<String>();
      RawServer.Script lose =
          exchange -> {
            if (isToken(exchange)) {
              return;
            }
            keys.add(exchange.getRequestHeaders().getFirst("Idempotency-Key"));
          };
      broker.script = lose;
      assertThatThrownBy(() -> valetkey.lease("orders-db"))
          .isInstanceOf(UnavailableException.class);
      int lost = keys.size();
      assertThat(lost).isPositive();

      broker.script =
          exchange -> {
            if (!isToken(exchange)) {
              keys.add(exchange.getRequestHeaders().getFirst("Idempotency-Key"));
              send(exchange, 201, ISSUED);
            }
          };
      eventuallyLeases(valetkey);
      valetkey.lease("orders-db");

      assertThat(keys.subList(0, lost + 1))
          .as("the next call settles it")
          .containsOnly(keys.get(0));
      assertThat(keys.get(lost + 1)).as("then it is done with").isNotEqualTo(keys.get(0));
    }
  }

  /** A token of the fake's, whose form is all that the client looks at. */
  private boolean isToken(HttpExchange exchange) throws IOException {
    if (!exchange.getRequestURI().getPath().equals("/oauth2/token")) {
      return false;
    }
    send(
        exchange,
        200,
        "{\"access_token\":\"a.b.c\",\"token_type\":\"Bearer\",\"expires_in\":300,\"scope\":\"read\","
            + "\"issued_token_type\":\"urn:ietf:params:oauth:token-type:access_token\"}");
    return true;
  }

  private static void send(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  private static Lease eventuallyLeases(Valetkey valetkey) throws InterruptedException {
    for (int i = 0; ; i++) {
      try {
        return valetkey.lease("orders-db");
      } catch (UnavailableException e) {
        assertThat(i).as("still nothing: %s", e.getMessage()).isLessThan(20);
        Thread.sleep(200);
      }
    }
  }

  @Test
  void conflict_isWaitedOut() throws Exception {
    try (RawServer broker = new RawServer()) {
      Valetkey valetkey = connect(fake, broker, Duration.ofSeconds(10));
      var asked = new AtomicInteger();
      broker.script =
          exchange -> {
            if (isToken(exchange)) {
              return;
            }
            if (asked.incrementAndGet() < 3) {
              exchange.getResponseHeaders().add("Retry-After", "0");
              send(exchange, 409, "{\"status\":409,\"code\":\"conflict\"}");
            } else {
              send(exchange, 201, ISSUED);
            }
          };
      Lease lease = valetkey.lease("orders-db");
      assertThat(asked).hasValue(3);
      assertThat(lease.get("ca_chain")).isEqualTo("one\ntwo");
      assertThat(lease.members()).doesNotContain("nothing");
      assertThat(lease.expiresAt())
          .as("counted by the broker, not by two clocks")
          .isBefore(Instant.now().plusSeconds(61));
    }
  }

  @Test
  void refusal_saysWhatToDo_andIsNotRepeated() {
    valetkey.destination("orders-db").token();
    fake.deny("orders-db", "invalid_target");

    RefusedException refused =
        catchThrowableOfType(RefusedException.class, () -> valetkey.lease("orders-db"));

    assertThat(refused.error()).contains("not_found");
    assertThat(refused).hasMessageContaining("orders-db").hasMessageContaining("no such");
    assertThat(fake.issuedLeases()).isZero();
  }

  @Test
  void limit_isToldAtOnce() throws Exception {
    try (RawServer broker = new RawServer()) {
      Valetkey valetkey = connect(fake, broker, Duration.ofSeconds(10));
      broker.script =
          exchange -> {
            if (!isToken(exchange)) {
              exchange.getResponseHeaders().add("Retry-After", "1");
              send(
                  exchange, 429, "{\"status\":429,\"code\":\"lease_limit\",\"detail\":\"2 live\"}");
            }
          };
      UnavailableException busy =
          catchThrowableOfType(UnavailableException.class, () -> valetkey.lease("orders-db"));
      assertThat(busy.retryAfter()).contains(Duration.ofSeconds(1));
      assertThat(busy).hasMessageContaining("2 live").hasMessageContaining("maxLive");
      assertThat(broker.paths).containsOnlyOnce("/v1/leases");
    }
  }

  @Test
  void refusedToken_isReplacedOnce() {
    valetkey.lease("orders-db").close();
    fake.expireTokens();

    try (Lease lease = valetkey.lease("orders-db")) {
      assertThat(lease.username()).isNotEmpty();
      assertThat(fake.issuedTokens()).isEqualTo(2);
    }
  }

  @Test
  void close_whileTheBrokerIsAway_doesNotFail() {
    Lease lease = valetkey.lease("orders-db");
    fake.goOffline();
    lease.close();
    assertThat(fake.liveLeases()).isEqualTo(1);
    clock.advance(Duration.ofSeconds(100));
    assertThat(fake.liveLeases()).isZero();
  }
}
