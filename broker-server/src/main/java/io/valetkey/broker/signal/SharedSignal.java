package io.valetkey.broker.signal;

import io.valetkey.broker.identity.SecurityEventVerifier.Verified;
import io.valetkey.broker.policy.SignalRule.Facts;
import io.valetkey.broker.policy.SignalRuleSpec.Source;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.Signal.About;
import java.time.Instant;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The event inside a verified security event token, as the OpenID Shared Signals Framework 1.0
 * profiles it: one event, and a {@code sub_id} (RFC 9493) beside it. Of the subject formats only
 * {@code iss_sub} can be an agent; whoever is named in another way is nobody we know.
 */
public final class SharedSignal {

  /** The event by which a transmitter tries out a stream; it is about nobody. */
  static final String VERIFICATION = "verification";

  private static final Pattern KNOWN =
      Pattern.compile(
          "https://schemas\\.openid\\.net/secevent/(?:caep|risc|ssf|sse)/event-type/([a-z-]{1,64})");

  private SharedSignal() {}

  /**
   * Reads the event; one of a type that is not OpenID's is called {@code other}.
   *
   * @throws RefusedException {@link ProblemCode#CLAIMS_INVALID} if there is not exactly one event
   *     or its subject is malformed
   */
  public static Signal read(Verified token) {
    if (!(token.claims().get("events") instanceof Map<?, ?> events)
        || events.size() != 1
        || !(events.values().iterator().next() instanceof Map<?, ?> payload)) {
      throw invalid("events must hold exactly one event");
    }
    Matcher type = KNOWN.matcher(String.valueOf(events.keySet().iterator().next()));
    return new Signal(
        new Facts(Source.SSF, null, type.matches() ? type.group(1) : "other", null),
        about(token),
        occurredAt(payload, token.issuedAt()),
        Map.of());
  }

  private static About about(Verified token) {
    Object subject = token.claims().get("sub_id");
    if (!(subject instanceof Map<?, ?> id) || !(id.get("format") instanceof String format)) {
      throw invalid("sub_id is missing or has no format");
    }
    if (!format.equals("iss_sub")) {
      return new About.Nobody();
    }
    if (id.get("iss") instanceof String iss && id.get("sub") instanceof String sub) {
      return new About.Account(iss, sub);
    }
    throw invalid("sub_id of the format iss_sub has no iss or sub");
  }

  /** CAEP section 2: seconds; without one the event is as old as its token. */
  private static Instant occurredAt(Map<?, ?> payload, Instant otherwise) {
    return payload.get("event_timestamp") instanceof Number number
            && number.longValue() >= 0
            && number.longValue() <= otherwise.getEpochSecond()
        ? Instant.ofEpochSecond(number.longValue())
        : otherwise;
  }

  private static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.CLAIMS_INVALID, detail);
  }
}
