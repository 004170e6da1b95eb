package io.valetkey.broker.issuance;

import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.token.AccessToken;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The body of {@code POST /v1/leases}, and the key that makes two of them the same request.
 *
 * @param destination what to lease
 * @param scope under which scope; null for the only one that there is
 * @param key the {@code Idempotency-Key}; null if there is none
 */
record LeaseRequest(String destination, @Nullable String scope, @Nullable String key) {

  private static final int MAX_BYTES = 64 * 1024;
  private static final StrictJson JSON = new StrictJson();

  /**
   * Reads a request strictly.
   *
   * @throws RefusedException {@code unsupported_media_type}, {@code content_too_large}, {@code
   *     invalid_json}, {@code invalid_field} or {@code invalid_request}
   */
  static LeaseRequest read(HttpServletRequest request) throws IOException {
    String type = String.valueOf(request.getContentType()).split(";", 2)[0].strip();
    if (!type.toLowerCase(Locale.ROOT).equals("application/json")) {
      throw new RefusedException(ProblemCode.UNSUPPORTED_MEDIA_TYPE, "The body must be JSON");
    }
    if (request.getQueryString() != null) {
      throw new RefusedException(ProblemCode.INVALID_REQUEST, "There are no query parameters here");
    }
    byte[] body = request.getInputStream().readNBytes(MAX_BYTES + 1);
    if (body.length > MAX_BYTES) {
      throw new RefusedException(ProblemCode.CONTENT_TOO_LARGE, "The body is over 64 KiB");
    }
    String key = key(request);
    return JsonFields.read(
        JSON.object(body),
        fields -> {
          String destination = fields.requiredText("destination");
          String scope = fields.text("scope");
          checkName(fields, "destination", destination);
          checkName(fields, "scope", scope);
          return new LeaseRequest(destination, scope, key);
        });
  }

  private static void checkName(JsonFields fields, String field, @Nullable String value) {
    if (value != null && !value.isEmpty() && !ResourceId.isName(value)) {
      fields.error(field, FieldError.INVALID_VALUE, "is not a name that one could have");
    }
  }

  private static @Nullable String key(HttpServletRequest request) {
    List<String> keys = Collections.list(request.getHeaders("Idempotency-Key"));
    if (keys.isEmpty()) {
      return null;
    }
    String key = keys.getFirst();
    boolean printable = key.chars().allMatch(c -> c > ' ' && c < 0x7f);
    if (keys.size() > 1 || key.isEmpty() || key.length() > 255 || !printable) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST,
          "Idempotency-Key must be there once, of 1 to 255 printable characters");
    }
    return key;
  }

  /**
   * What makes two requests of an agent the same one: the caller's key; without one the pod, so
   * that a pod that starts over and over again has one lease and not many; without a pod nothing.
   */
  String keyFor(AccessToken token) {
    String pod = token.podUid();
    if (key != null) {
      return hash("key", token.issuer(), token.subject(), destination, scope, key);
    }
    return pod == null
        ? hash("none", UUID.randomUUID().toString())
        : hash("pod", token.issuer(), pod, destination, scope);
  }

  /** A hash of all parts, none of which can run into the next one. */
  private static String hash(@Nullable String... parts) {
    MessageDigest sha256 = Sha256.digest();
    for (String part : parts) {
      sha256.update(String.valueOf(part).getBytes(StandardCharsets.UTF_8));
      sha256.update((byte) 0);
    }
    return HexFormat.of().formatHex(sha256.digest());
  }
}
