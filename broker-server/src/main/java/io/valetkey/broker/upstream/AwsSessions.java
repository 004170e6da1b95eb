package io.valetkey.broker.upstream;

import io.valetkey.broker.net.FormEncoding;
import io.valetkey.broker.policy.DestinationSpec.Credential.AwsWebIdentity;
import io.valetkey.broker.policy.Signing.AwsSigV4;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Sessions of roles that AWS's Security Token Service makes for an assertion. The request is not
 * signed: the assertion is all that it proves itself by. Safe for any thread.
 *
 * @see <a
 *     href="https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html">AWS
 *     STS, AssumeRoleWithWebIdentity</a>
 */
final class AwsSessions {

  /** The audience that AWS suggests for its identity providers. */
  static final String AUDIENCE = "sts.amazonaws.com";

  private static final Duration DURATION = Duration.ofMinutes(15);
  private static final String FORM = "application/x-www-form-urlencoded";

  /** They say nothing about us or the role: the same request may be right later. */
  private static final Set<String> TRANSIENT =
      Set.of("IDPCommunicationError", "InternalFailure", "RequestTimeout", "ServiceUnavailable");

  private final ProviderHttp http;
  private final Backoff backoff;

  AwsSessions(ProviderHttp http, Clock clock) {
    this.http = http;
    this.backoff = new Backoff(clock);
  }

  /**
   * Gets a session. Blocks; ends when its thread is interrupted.
   *
   * @param assertion what our issuer signed for it
   * @throws RefusedException as {@link ProviderTokens#fetch} does
   * @throws IOException if there is no whole answer
   */
  Loaded fetch(AwsWebIdentity role, String assertion, Instant now) throws IOException {
    Duration wait = backoff.remaining(role.endpoint());
    if (wait.isPositive()) {
      throw CredentialText.away(
          role, "is not asked for: AWS was asked too often, next in " + wait.toSeconds() + " s");
    }
    ProviderHttp.Answer answer =
        http.post(
            URI.create(role.endpoint()),
            FORM,
            FormEncoding.form(form(role, assertion)).getBytes(StandardCharsets.US_ASCII),
            // It would answer in JSON of another shape to whoever takes that.
            Map.of("Accept", "text/xml"));
    if (answer.status() != 200) {
      throw refusal(role, answer);
    }
    backoff.answered(role.endpoint());
    StsAnswer.Session session = StsAnswer.session(answer.body());
    if (session == null) {
      throw CredentialText.away(role, "cannot be had: the answer is none of AWS's");
    }
    if (!session.expiration().isAfter(now)) {
      throw CredentialText.away(role, "had ended when it came");
    }
    return new Loaded(
        CredentialFields.of(
            Map.of(
                AwsSigV4.KEY_ID, check(role, session.accessKeyId()),
                AwsSigV4.SECRET_KEY, check(role, session.secretAccessKey()),
                AwsSigV4.SESSION_TOKEN, check(role, session.sessionToken()))),
        session.expiration());
  }

  private static Map<String, String> form(AwsWebIdentity role, String assertion) {
    Duration duration = role.duration() == null ? DURATION : role.duration();
    Map<String, String> form = new LinkedHashMap<>();
    form.put("Action", "AssumeRoleWithWebIdentity");
    form.put("Version", "2011-06-15");
    form.put("RoleArn", role.roleArn());
    form.put(
        "RoleSessionName", Objects.requireNonNullElse(role.session(), AwsWebIdentity.OWN_SESSION));
    form.put("DurationSeconds", String.valueOf(duration.toSeconds()));
    form.put("WebIdentityToken", assertion);
    if (role.sessionPolicy() != null) {
      form.put("Policy", role.sessionPolicy());
    }
    return form;
  }

  private RefusedException refusal(AwsWebIdentity role, ProviderHttp.Answer answer) {
    int status = answer.status();
    String code = StsAnswer.errorCode(answer.body());
    String why = "cannot be had: AWS answered " + status + (code == null ? "" : ", " + code);
    if (status == 429 || isThrottling(code)) {
      backoff.refused(role.endpoint());
      return CredentialText.away(role, why);
    }
    // Only what AWS says itself counts as an answer about us; a proxy's page does not.
    boolean refused = status >= 400 && status < 500 && code != null && !TRANSIENT.contains(code);
    return refused ? CredentialText.refused(role, why) : CredentialText.away(role, why);
  }

  private static boolean isThrottling(@Nullable String code) {
    return code != null
        && (code.startsWith("Throttl")
            || code.equals("RequestLimitExceeded")
            || code.equals("TooManyRequestsException"));
  }

  /** What stands in a header or signs one: printable, without spaces. */
  private static SecretValue check(AwsWebIdentity role, String text) {
    if (!text.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
      throw CredentialText.away(role, "came with what cannot stand in a header");
    }
    return CredentialText.check(role, text);
  }
}
