package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.identity.CompactJws;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.KeySource;
import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.identity.TrustedIssuers;
import io.valetkey.broker.identity.VerifiedWorkload;
import java.time.Clock;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** The check of an identity token: known from a moment ago, and never seen before. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@SuppressWarnings("NullAway.Init") // JMH calls the set-up and sets the parameters
public class IdentityBenchmark {

  /** More than one issuer's share of the cache (20 000), asked in a ring: never a hit. */
  private static final int DISTINCT = 24_000;

  private static final String AUDIENCE = "https://broker.test";

  /** Who does the cryptography. */
  @Param({"accp", "jdk"})
  public String provider;

  /** What identity tokens are signed with. */
  @Param({"ES256", "RS256", "EdDSA"})
  public String algorithm;

  private IdentityVerifier verifier;
  private final String[] tokens = new String[DISTINCT];
  private int next;

  /** Signs the tokens. */
  @Setup(Level.Trial)
  public void prepare() throws Exception {
    JWSAlgorithm signedWith = JWSAlgorithm.parse(algorithm);
    var issuer = new IdentityIssuer(signedWith);
    for (int i = 0; i < DISTINCT; i++) {
      tokens[i] = issuer.token("subject-" + i, AUDIENCE);
    }
    verifier =
        new IdentityVerifier(
            new OneIssuer(issuer, algorithm),
            AUDIENCE,
            CryptoProvider.select(provider),
            address -> false,
            false,
            Clock.systemUTC());
  }

  /** One token again and again. */
  @Benchmark
  public VerifiedWorkload known() {
    return verifier.verify(tokens[0]);
  }

  /** A token that is not in the cache. */
  @Benchmark
  public VerifiedWorkload unknown() {
    next = next + 1 == DISTINCT ? 0 : next + 1;
    return verifier.verify(tokens[next]);
  }

  /** The strict reading alone. */
  @Benchmark
  public CompactJws parse() {
    return CompactJws.parse(tokens[0]);
  }

  private static final class OneIssuer implements TrustedIssuers {

    private final TrustedIssuer issuer;

    OneIssuer(IdentityIssuer keys, String algorithm) {
      this.issuer =
          new TrustedIssuer(
              IdentityIssuer.NAME,
              TrustedIssuer.Type.OIDC,
              IdentityIssuer.ISS,
              new KeySource.Inline(keys.publicKeys()),
              Set.of(algorithm),
              Duration.ofHours(24),
              false,
              null,
              null,
              true,
              1);
    }

    @Override
    public @Nullable TrustedIssuer byIssuer(String iss) {
      return issuer.key().equals(iss) ? issuer : null;
    }

    @Override
    public @Nullable TrustedIssuer byTrustDomain(String domain) {
      return null;
    }
  }
}
