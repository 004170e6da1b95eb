package io.valetkey.client.aws;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.client.RefusedException;
import io.valetkey.client.testing.FakeValetkey;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;

/** What the SDK is told; that it works with the SDK is shown by the server's tests. */
class LeasedAwsCredentialsTest {
  private final FakeValetkey fake =
      FakeValetkey.builder().leaseLife(Duration.ofSeconds(2), Duration.ofSeconds(2)).start();
  private final LeasedAwsCredentials credentials =
      LeasedAwsCredentials.of(fake.connect().destination("reports"));

  @AfterEach
  void stop() {
    credentials.close();
    fake.close();
  }

  @Test
  void sessionCredentials_haveTheirEnd_andAreTheSameObjectUntilTheyAreOthers() throws Exception {
    AtomicInteger number = new AtomicInteger();
    fake.lease(
        "reports",
        "https://sts.amazonaws.com",
        () ->
            Map.of(
                "access_key_id",
                "ASIA" + number.incrementAndGet(),
                "secret_access_key",
                "very-secret",
                "session_token",
                "token"));
    AwsSessionCredentials first = (AwsSessionCredentials) credentials.resolveCredentials();

    assertThat(first.accessKeyId()).isEqualTo("ASIA1");
    assertThat(first.secretAccessKey()).isEqualTo("very-secret");
    assertThat(first.sessionToken()).isEqualTo("token");
    assertThat(first.expirationTime().orElseThrow())
        .isBetween(Instant.now(), Instant.now().plusSeconds(2));
    assertThat(credentials.resolveCredentials()).isSameAs(first);
    assertThat(credentials.toString()).doesNotContain("very-secret");
    long end = System.nanoTime() + Duration.ofSeconds(5).toNanos();
    while (credentials.resolveCredentials().accessKeyId().equals("ASIA1")) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.sleep(20);
    }
  }

  @Test
  void credentialsOfAUser_haveNoSessionToken() {
    fake.lease(
        "reports",
        "https://sts.amazonaws.com",
        () -> Map.of("access_key_id", "AKIA1", "secret_access_key", "very-secret"));
    AwsCredentials user = credentials.resolveCredentials();

    assertThat(user).isNotInstanceOf(AwsSessionCredentials.class);
    assertThat(user.accessKeyId()).isEqualTo("AKIA1");
  }

  @Test
  void refusal_reachesTheCallerOfTheSdk() {
    fake.deny("reports", "invalid_target");
    assertThatThrownBy(credentials::resolveCredentials).isInstanceOf(RefusedException.class);
  }
}
