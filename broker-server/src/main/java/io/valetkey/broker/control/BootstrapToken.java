package io.valetkey.broker.control;

import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.Types;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.HexFormat;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * The token that lets somebody in before there is anybody. Its time counts from the first start on
 * an empty database and is kept there, with the token's hash: neither a restart nor another setting
 * brings it back.
 */
public final class BootstrapToken {

  /** The fewest characters that it may have. */
  public static final int LEAST_LENGTH = 32;

  private static final Logger log = LoggerFactory.getLogger(BootstrapToken.class);

  private final @Nullable String hash;
  private final Instant endsAt;
  private final Clock clock;

  private record Row(@Nullable String hash, Instant now, Instant endsAt) {}

  /**
   * Notes the first start, or reads when it was.
   *
   * @param token the setting; null if there is none
   * @param ttl how long it works, counted from the first start
   */
  public BootstrapToken(
      JdbcClient database, @Nullable SecretValue token, Duration ttl, Clock clock) {
    this.clock = clock;
    Row row = register(database, token == null ? null : sha256(token.reveal()), ttl);
    boolean known = token != null && row.hash() != null && matches(token.reveal(), row.hash());
    this.hash = known ? row.hash() : null;
    // The database's clock set the end; only the time that is left is taken over.
    this.endsAt = clock.instant().plus(Duration.between(row.now(), row.endsAt()));
    if (known && clock.instant().isBefore(endsAt)) {
      log.warn("The bootstrap token is accepted until {}", endsAt);
    }
  }

  private static Row register(JdbcClient database, @Nullable String hash, Duration ttl) {
    database
        .sql(
            """
            INSERT INTO installation (bootstrap_hash, bootstrap_ends_at)
            SELECT decode(:hash, 'hex'), now() + CASE WHEN EXISTS (SELECT FROM change_log) THEN interval '0'
                                       ELSE :millis * interval '1 millisecond' END
            ON CONFLICT DO NOTHING\
            """)
        .param("hash", hash, Types.VARCHAR)
        .param("millis", ttl.toMillis())
        .update();
    int changed =
        database
            .sql(
                "UPDATE installation SET bootstrap_hash = decode(:hash, 'hex') WHERE"
                    + " bootstrap_ends_at > now() AND bootstrap_hash IS DISTINCT FROM"
                    + " decode(:hash, 'hex')")
            .param("hash", hash, Types.VARCHAR)
            .update();
    if (changed > 0) {
      // Whoever signed in with the token that was replaced may be why it was replaced.
      database.sql("DELETE FROM console_session WHERE via = 'bootstrap'").update();
    }
    return database
        .sql("SELECT encode(bootstrap_hash, 'hex'), now(), bootstrap_ends_at FROM installation")
        .query((row, number) ->
            new Row(
                row.getString(1),
                row.getObject(2, OffsetDateTime.class).toInstant(),
                row.getObject(3, OffsetDateTime.class).toInstant()))
        .single();
  }

  /** Whether this is the token, and its time has not ended. */
  public boolean accepts(String presented) {
    String expected = hash;
    return expected != null && matches(presented, expected) && clock.instant().isBefore(endsAt);
  }

  /** When it ends; empty if there is none that is accepted now. */
  public Optional<Instant> end() {
    return hash != null && clock.instant().isBefore(endsAt)
        ? Optional.of(endsAt)
        : Optional.empty();
  }

  private static boolean matches(String token, String hash) {
    return MessageDigest.isEqual(
        sha256(token).getBytes(StandardCharsets.US_ASCII),
        hash.getBytes(StandardCharsets.US_ASCII));
  }

  private static String sha256(String token) {
    return HexFormat.of().formatHex(Sha256.of(token));
  }
}
