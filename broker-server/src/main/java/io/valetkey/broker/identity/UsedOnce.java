package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Base64;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * What may be used once, shared by all replicas: identity tokens of issuers that say so, DPoP
 * proofs (RFC 9449 section 11.1) and security event tokens. An id is kept as its SHA-256, so its
 * length and its characters do not matter.
 */
public final class UsedOnce {

  /**
   * Entries outlive what they stand for by this much, so that no clock that is behind revives it.
   */
  private static final Duration MARGIN = Duration.ofMinutes(10);

  private final JdbcClient database;
  private final Clock clock;

  /** Uses the table {@code used_once}. */
  public UsedOnce(JdbcClient database, Clock clock) {
    this.database = database;
    this.clock = clock;
  }

  /**
   * Takes the id, for ever.
   *
   * @param purpose what it is used for, one of our own few words
   * @param context within which the id is unique, such as the issuer's name
   * @param jti the id
   * @param expiresAt from when on the thing itself would be refused anyway
   * @return true for exactly one caller among all replicas
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer; the id may then be taken or not
   */
  public boolean claim(String purpose, String context, String jti, Instant expiresAt) {
    try {
      return database
              .sql(
                  """
                  INSERT INTO used_once (purpose, context, jti, expires_at)
                  VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
                  """)
              .params(purpose, context, digest(jti), expiresAt.atOffset(ZoneOffset.UTC))
              .update()
          == 1;
    } catch (DataAccessException e) {
      throw unavailable();
    }
  }

  /**
   * Uses up an identity token that may be used once; one that may be used again passes.
   *
   * @throws RefusedException {@link ProblemCode#TOKEN_REPLAYED} if it was used before or has no id,
   *     {@link ProblemCode#TEMPORARILY_UNAVAILABLE} as {@link #claim}
   */
  public void claimIdentity(VerifiedWorkload workload) {
    if (!workload.useOnce()) {
      return;
    }
    String jti = workload.jti();
    if (jti == null || !claim("identity", workload.issuer(), jti, workload.expiresAt())) {
      throw new RefusedException(
          ProblemCode.TOKEN_REPLAYED, "The identity token was used before, or has no jti");
    }
  }

  /**
   * Whether the id was taken before. For uses that are taken only once they have led to something:
   * two that come at once can both see false.
   *
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  public boolean isTaken(String purpose, String context, String jti) {
    try {
      return database
          .sql(
              "SELECT EXISTS (SELECT FROM used_once WHERE purpose = ? AND context = ? AND jti = ?)")
          .params(purpose, context, digest(jti))
          .query(Boolean.class)
          .single();
    } catch (DataAccessException e) {
      throw unavailable();
    }
  }

  /**
   * Removes entries that are no longer needed.
   *
   * @return how many
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  public int purge() {
    try {
      return database
          .sql("DELETE FROM used_once WHERE expires_at < ?")
          .params(clock.instant().minus(MARGIN).atOffset(ZoneOffset.UTC))
          .update();
    } catch (DataAccessException e) {
      throw unavailable();
    }
  }

  private static String digest(String jti) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(Sha256.of(jti));
  }

  private static RefusedException unavailable() {
    return new RefusedException(
        ProblemCode.TEMPORARILY_UNAVAILABLE, "the store of used ids did not answer");
  }
}
