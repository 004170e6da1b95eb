package io.valetkey.broker.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.identity.TrustedIssuer.Type;
import io.valetkey.broker.identity.VerifiedTokens.Entry;
import io.valetkey.broker.identity.VerifiedTokens.Fingerprint;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;

class VerifiedTokensTest {

  private final TrustedIssuer a;
  private final TrustedIssuer b;

  VerifiedTokensTest() throws Exception {
    KeySource keys = TestIssuers.inline(new TestIssuer("k"));
    a = TestIssuers.issuer(Type.OIDC, "a", keys);
    b = TestIssuers.issuer(Type.OIDC, "b", keys);
  }

  private static Entry entry(TrustedIssuer issuer, String token) {
    Instant now = TestIssuer.NOW;
    return new Entry(
        Fingerprint.of(token),
        new VerifiedWorkload(issuer, token, Map.of(), now, now.plusSeconds(60), null),
        issuer,
        1,
        now);
  }

  @Test
  void admit_whenOneIssuerFloods_evictsOnlyItsOwn() {
    VerifiedTokens tokens = new VerifiedTokens(10, 100);
    tokens.admit(entry(b, "good"));
    for (int i = 0; i < 1000; i++) {
      tokens.admit(entry(a, "flood-" + i));
    }
    assertThat(tokens.find(Fingerprint.of("good"))).isNotNull();
    assertThat(tokens.find(Fingerprint.of("flood-999"))).isNotNull();
    assertThat(tokens.find(Fingerprint.of("flood-0"))).isNull();
    assertThat(tokens.size()).isEqualTo(11);
  }

  @Test
  void admit_whenFullOfOthers_leavesThemAlone() {
    VerifiedTokens tokens = new VerifiedTokens(10, 10);
    for (int i = 0; i < 10; i++) {
      tokens.admit(entry(a, "a-" + i));
    }
    tokens.admit(entry(b, "b"));
    assertThat(tokens.find(Fingerprint.of("b"))).isNull();
    assertThat(tokens.size()).isEqualTo(10);
  }

  @Test
  void admit_whenTheSameTokenComesAgain_doesNotGrowOrLoseIt() {
    VerifiedTokens tokens = new VerifiedTokens(3, 10);
    for (int i = 0; i < 20; i++) {
      Entry entry = entry(a, "same");
      tokens.admit(entry);
      assertThat(tokens.find(Fingerprint.of("same"))).isSameAs(entry);
    }
    assertThat(tokens.size()).isEqualTo(1);
  }
}
