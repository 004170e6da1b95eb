package io.valetkey.broker.admin;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Locale;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;

/** What a transmitter of security event tokens is answered (RFC 8935 sections 2.2 to 2.4). */
final class SecurityEventAnswers {

  static final String MEDIA_TYPE = "application/secevent+jwt";

  private SecurityEventAnswers() {}

  /** Whether the request brings a security event token, by its content type. */
  static boolean isAsked(HttpServletRequest request) {
    String type = request.getContentType();
    return type != null
        && type.split(";", 2)[0].strip().toLowerCase(Locale.ROOT).equals(MEDIA_TYPE);
  }

  /** The event is stored; there is nothing more to say. */
  static ResponseEntity<byte[]> accepted() {
    return ResponseEntity.accepted().header(HttpHeaders.CACHE_CONTROL, "no-store").build();
  }

  /** The event was not taken. What is ours, or too much, is to be sent again. */
  static ResponseEntity<byte[]> refused(RefusedException refusal) {
    ProblemCode code = refusal.code();
    if (code.status() >= 500) {
      return later(HttpStatus.SERVICE_UNAVAILABLE, "1");
    }
    if (code == ProblemCode.RATE_LIMITED) {
      return later(HttpStatus.TOO_MANY_REQUESTS, "60");
    }
    return JsonAnswers.answer(
        ResponseEntity.badRequest().header(HttpHeaders.CONTENT_LANGUAGE, "en"),
        JsonAnswers.object().put("err", err(code)).put("description", code.title()));
  }

  private static ResponseEntity<byte[]> later(HttpStatus status, String seconds) {
    return ResponseEntity.status(status)
        .header(HttpHeaders.RETRY_AFTER, seconds)
        .header(HttpHeaders.CACHE_CONTROL, "no-store")
        .build();
  }

  private static String err(ProblemCode code) {
    return switch (code) {
      case ISSUER_UNKNOWN -> "invalid_issuer";
      case ALGORITHM_NOT_ALLOWED, KEY_UNKNOWN -> "invalid_key";
      case SIGNATURE_INVALID -> "authentication_failed";
      case AUDIENCE_MISMATCH -> "invalid_audience";
      default -> "invalid_request";
    };
  }
}
