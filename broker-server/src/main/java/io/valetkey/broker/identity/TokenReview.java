package io.valetkey.broker.identity;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * Asks a Kubernetes API server whether a token still counts: a deleted pod's does not, although its
 * signature and its {@code exp} are in order. No answer is a no.
 *
 * @see <a
 *     href="https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/">TokenReview</a>
 */
final class TokenReview {

  private static final String PATH = "/apis/authentication.k8s.io/v1/tokenreviews";
  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  private final BoundedHttp http;
  private final String audience;

  TokenReview(BoundedHttp http, String audience) {
    this.http = http;
    this.audience = audience;
  }

  /**
   * Returns only if the API server vouches for the token, for us, as this subject.
   *
   * @throws RefusedException {@link ProblemCode#TOKEN_REVOKED} if it does not, {@link
   *     ProblemCode#AUDIENCE_MISMATCH} if not for us, {@link ProblemCode#ISSUER_UNAVAILABLE} if it
   *     does not say
   */
  void require(TrustedIssuer.Review review, String token, String subject, Duration within) {
    Map<?, ?> status = status(review, token, within);
    if (!Boolean.TRUE.equals(status.get("authenticated"))) {
      throw new RefusedException(
          ProblemCode.TOKEN_REVOKED, "the API server does not vouch for the token");
    }
    if (!(status.get("audiences") instanceof List<?> audiences && audiences.contains(audience))) {
      throw new RefusedException(
          ProblemCode.AUDIENCE_MISMATCH, "the API server's answer is not for our audience");
    }
    if (status.get("user") instanceof Map<?, ?> user
        && user.containsKey("username")
        && !subject.equals(user.get("username"))) {
      throw new RefusedException(
          ProblemCode.TOKEN_REVOKED, "the API server knows the token as somebody else's");
    }
  }

  private Map<?, ?> status(TrustedIssuer.Review review, String token, Duration within) {
    String base = review.apiServer().toString();
    URI uri = URI.create((base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + PATH);
    byte[] question =
        MAPPER.writeValueAsBytes(
            Map.of(
                "apiVersion", "authentication.k8s.io/v1",
                "kind", "TokenReview",
                "spec", Map.of("token", token, "audiences", List.of(audience))));
    try {
      Map<String, @Nullable Object> answer =
          StrictJson.object(http.exchange(uri, review.tls(), question, within));
      if (answer.get("status") instanceof Map<?, ?> status) {
        return status;
      }
    } catch (IOException | IllegalArgumentException e) {
      // The same to the caller as an answer without a status.
    }
    throw new RefusedException(
        ProblemCode.ISSUER_UNAVAILABLE, "the API server did not review the token");
  }
}
