package io.valetkey.bench;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Token requests in a ring, each with its own identity token. Every answer must be a token. */
final class TokenRequests implements ClosedLoop.Exchange {

  private static final String EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
  private static final String JWT = "urn:ietf:params:oauth:token-type:jwt";
  private static final String BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

  private final List<Buffer> bodies;
  private int next;
  private String firstWrong = "";

  private TokenRequests(List<Buffer> bodies) {
    this.bodies = bodies;
  }

  /**
   * RFC 6749 section 4.4 with an assertion: the broker's first way, and the peer's only one, which
   * wants to be told the client as well.
   *
   * @param subjects the number of subjects; assertion n is of subject n modulo this
   */
  static TokenRequests clientCredentials(
      List<String> assertions, int subjects, @Nullable String resource) {
    String target = resource == null ? "" : "&resource=" + encoded(resource);
    return new TokenRequests(
        IntStream.range(0, assertions.size())
            .mapToObj(n ->
                Buffer.buffer(
                    "grant_type=client_credentials&client_assertion_type="
                        + encoded(BEARER)
                        + "&client_assertion="
                        + assertions.get(n)
                        + "&client_id=subject-"
                        + n % subjects
                        + "&scope=use"
                        + target))
            .toList());
  }

  /** RFC 8693: the broker's second way. */
  static TokenRequests exchange(List<String> subjectTokens, String resource) {
    return new TokenRequests(
        subjectTokens.stream()
            .map(token ->
                Buffer.buffer(
                    "grant_type="
                        + encoded(EXCHANGE)
                        + "&subject_token_type="
                        + encoded(JWT)
                        + "&subject_token="
                        + token
                        + "&scope=use&resource="
                        + encoded(resource)))
            .toList());
  }

  private static String encoded(String value) {
    return URLEncoder.encode(value, StandardCharsets.UTF_8);
  }

  @Override
  public Buffer nextBody() {
    next = next + 1 == bodies.size() ? 0 : next + 1;
    return bodies.get(next);
  }

  @Override
  public Map<String, String> headers() {
    return Map.of("Content-Type", "application/x-www-form-urlencoded");
  }

  @Override
  public boolean isRight(int status, Buffer body) {
    boolean right = status == 200 && isToken(body);
    if (!right && firstWrong.isEmpty()) {
      firstWrong = status + " " + body;
    }
    return right;
  }

  private static boolean isToken(Buffer body) {
    try {
      JsonObject answer = body.toJsonObject();
      String token = answer.getString("access_token", "");
      return "Bearer".equals(answer.getString("token_type"))
          && answer.getLong("expires_in", 0L) > 0
          && token.chars().filter(c -> c == '.').count() == 2;
    } catch (DecodeException | ClassCastException e) {
      return false;
    }
  }

  /** The first answer that was not right, for people; empty if all were. */
  String firstWrong() {
    return firstWrong;
  }
}
