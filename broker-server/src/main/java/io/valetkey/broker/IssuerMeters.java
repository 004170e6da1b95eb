package io.valetkey.broker;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.policy.PolicyView;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What is known of the issuers' keys: a series for each registered issuer, up to a bound. */
final class IssuerMeters implements MeterBinder {

  private static final int MOST = 200;

  private final IdentityVerifier identities;
  private final PolicyView policy;
  private volatile @Nullable MultiGauge age;
  private volatile @Nullable MultiGauge failing;

  IssuerMeters(IdentityVerifier identities, PolicyView policy) {
    this.identities = identities;
    this.policy = policy;
    policy.onChange(this::followPolicy);
  }

  @Override
  public void bindTo(MeterRegistry registry) {
    Meters.outcomes(
        registry,
        "valetkey.identity.checks",
        "Identity tokens that were checked, by reason of refusal",
        identities.outcomes());
    age =
        MultiGauge.builder("valetkey.jwks.age")
            .description(
                "Since when the issuer has not confirmed its keys; NaN before they are needed")
            .baseUnit("seconds")
            .register(registry);
    failing =
        MultiGauge.builder("valetkey.jwks.failing")
            .description("1 while the last attempt to get the issuer's keys has failed")
            .register(registry);
    followPolicy();
  }

  private void followPolicy() {
    MultiGauge ages = age;
    MultiGauge failures = failing;
    if (ages == null || failures == null) {
      return;
    }
    List<MultiGauge.Row<?>> ageRows = new ArrayList<>();
    List<MultiGauge.Row<?>> failureRows = new ArrayList<>();
    for (String issuer : policy.issuerNames(MOST)) {
      Tags tags = Tags.of("issuer", issuer);
      ageRows.add(MultiGauge.Row.of(tags, () -> identities.keysAgeSeconds(issuer)));
      failureRows.add(MultiGauge.Row.of(tags, () -> identities.areKeysFailing(issuer) ? 1 : 0));
    }
    ages.register(ageRows, true);
    failures.register(failureRows, true);
  }
}
