package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.token.AccessToken;
import io.valetkey.broker.token.AccessTokenClaims;
import io.valetkey.broker.token.AccessTokens;
import io.valetkey.broker.token.SigningKeys;
import io.valetkey.broker.token.TokenMinter;
import io.valetkey.broker.token.TokenSettings;
import java.sql.Connection;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/** Our own tokens: signing one, and verifying one that is known or new. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@SuppressWarnings("NullAway.Init") // JMH calls the set-up and sets the parameters
public class AccessTokenBenchmark {

  private static final int BATCH = 512;
  private static final long LIFE_MINUTES = 60;

  private final TokenSettings settings =
      new TokenSettings("https://broker.test", "https://gateway.test");

  /** Who does the cryptography. */
  @Param({"accp", "jdk"})
  public String provider;

  /** What access tokens are signed with. */
  @Param({"ES256", "EdDSA"})
  public String algorithm;

  private SigningKeys keys;
  private TokenMinter minter;
  private AccessTokens tokens;
  private AccessTokenClaims claims;
  private final String[] minted = new String[BATCH];

  /** Makes and publishes a key as a replica does when it starts. */
  @Setup(Level.Trial)
  public void prepare() throws Exception {
    keys =
        new SigningKeys(
            CryptoProvider.select(provider),
            JWSAlgorithm.parse(algorithm),
            true,
            Duration.ofDays(1));
    try (BenchPostgres postgres = BenchPostgres.start();
        Connection connection = postgres.connect(postgres.createMigrated("keys"))) {
      keys.catchUp(connection);
    }
    minter = new TokenMinter(settings, keys);
    tokens = new AccessTokens(settings, keys, Clock.systemUTC());
    for (int i = 0; i < BATCH; i++) {
      minted[i] = minter.mint(claims(i)).reveal();
    }
    claims = claims(0);
  }

  private static AccessTokenClaims claims(int n) {
    Instant now = Instant.now().truncatedTo(ChronoUnit.SECONDS);
    return new AccessTokenClaims(
        AccessTokenClaims.newJti(1),
        "agent-" + n,
        IdentityIssuer.ISS + "#subject-" + n,
        IdentityIssuer.NAME,
        "subject-" + n,
        null,
        "dest-0",
        List.of("use"),
        now,
        now.plus(LIFE_MINUTES, ChronoUnit.MINUTES),
        null,
        null);
  }

  /** Signs a token. */
  @Benchmark
  public SecretValue mint() {
    return minter.mint(claims);
  }

  /** Verifies a token that was verified before. */
  @Benchmark
  public AccessToken known() {
    return tokens.verify(minted[0]);
  }

  /** Verifies tokens that were not; the empty cache that this takes costs little beside it. */
  @Benchmark
  @OperationsPerInvocation(BATCH)
  public void unknown(Blackhole hole) {
    AccessTokens fresh = new AccessTokens(settings, keys, Clock.systemUTC());
    for (String token : minted) {
      hole.consume(fresh.verify(token));
    }
  }
}
