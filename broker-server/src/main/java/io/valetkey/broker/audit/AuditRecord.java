package io.valetkey.broker.audit;

import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What happened, once it is known. Never holds a token or a credential.
 *
 * @param time when the request arrived, in milliseconds; the same as in the decision id
 * @param decisionId the id that the caller was told
 * @param action for example {@code token.issue}
 * @param outcome how it ended
 * @param reason the problem code of a refusal or failure
 * @param agent the agent's name, once known
 * @param issuer the name of the registered issuer, once known
 * @param subject the subject of the verified identity, once known
 * @param destination the destination asked for
 * @param scopes the scopes, separated by spaces
 * @param jti the id of the access token issued or used
 * @param details further facts, as a JSON object
 */
public record AuditRecord(
    Instant time,
    UUID decisionId,
    String action,
    Outcome outcome,
    @Nullable String reason,
    @Nullable String agent,
    @Nullable String issuer,
    @Nullable String subject,
    @Nullable String destination,
    @Nullable String scopes,
    @Nullable String jti,
    Map<String, Object> details) {

  /** How a request ended. */
  public enum Outcome {
    GRANTED,
    REFUSED,
    FAILED
  }

  /**
   * Something that was done now, and is not about one agent, issuer or destination.
   *
   * @param details who did it, and what else there is to know
   */
  public static AuditRecord done(Clock clock, String action, Map<String, Object> details) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    return new AuditRecord(
        now,
        DecisionId.at(now),
        action,
        Outcome.GRANTED,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        details);
  }

  /** Copies the details. */
  public AuditRecord {
    details = Map.copyOf(details);
  }
}
