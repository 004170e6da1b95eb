package io.valetkey.broker.declaration;

import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a plan would have meant for what happened lately.
 *
 * @param days how far back it was to look
 * @param since how far back it looked
 * @param cutShort whether that is less than it was to, because there was too much of it
 * @param requests how many recorded decisions were looked at
 * @param distinct how many different ones those are
 * @param unplaced further uses that are only counted, of rules of which no recorded use was found:
 *     nothing can be said about them
 * @param undecided recorded uses whose decision, now or then, depends on what the audit trail does
 *     not hold of a request: nothing can be said about them
 * @param newlyRefused what would be refused from now on and is not now, most used first
 * @param newlyAllowed what would be allowed from now on and is not now, most used first
 */
public record ReplayReport(
    int days,
    Instant since,
    boolean cutShort,
    long requests,
    int distinct,
    long unplaced,
    long undecided,
    List<Finding> newlyRefused,
    List<Finding> newlyAllowed) {

  /**
   * A use that the plan decides differently.
   *
   * @param use what was done
   * @param reason the problem code of the refusal: the one to come, or the one of now
   * @param count how often it stands in the audit trail
   * @param repeats how often else its rule was used by this agent there, on this path or another
   * @param lastUsed when it was done last
   */
  public record Finding(PastUse use, String reason, long count, long repeats, Instant lastUsed) {}

  /**
   * One kind of use.
   *
   * @param action the audit trail's word: {@code gateway.request}, {@code token.issue} or {@code
   *     lease.create}
   * @param agent the agent that did it, null if nobody knows whose identity it was
   * @param issuer the issuer of its identity
   * @param subject its subject there
   * @param destination where
   * @param scopes the scopes in its token, or of what it got; none if that is not known
   * @param method of a request, else null
   * @param path of a request, else null
   */
  public record PastUse(
      String action,
      @Nullable String agent,
      String issuer,
      String subject,
      String destination,
      List<String> scopes,
      @Nullable String method,
      @Nullable String path) {}
}
