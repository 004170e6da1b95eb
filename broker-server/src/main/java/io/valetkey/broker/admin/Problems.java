package io.valetkey.broker.admin;

import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.problem.ProblemCode;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Writes refusals as problem details (RFC 9457), from wherever they come. */
final class Problems {

  private static final JsonMapper JSON = JsonMapper.shared();

  private final String catalogue;

  /**
   * Makes a writer.
   *
   * @param publicUrl where the catalogue of problems is found
   */
  Problems(String publicUrl) {
    this.catalogue = publicUrl + "/problems/";
  }

  /** Writes a refusal with the status of its code. */
  void write(HttpServletResponse response, ProblemCode code, @Nullable String detail)
      throws IOException {
    write(response, code.status(), body(code, code.status(), detail, List.of(), null));
  }

  /** Writes a refusal that says what is wrong with each field. */
  void write(HttpServletResponse response, ProblemCode code, String detail, List<FieldError> errors)
      throws IOException {
    write(response, code.status(), body(code, code.status(), detail, errors, null));
  }

  /** Writes a failure of ours, under an id that the log knows as well. */
  void writeInternal(HttpServletResponse response, UUID id) throws IOException {
    ProblemCode code = ProblemCode.INTERNAL;
    write(response, code.status(), body(code, code.status(), null, List.of(), id));
  }

  /** Writes a refusal with a status of the container's choice. */
  void writeStatus(HttpServletResponse response, int status) throws IOException {
    ProblemCode code = codeFor(status);
    write(response, status, body(code, status, null, List.of(), null));
  }

  byte[] body(
      ProblemCode code,
      int status,
      @Nullable String detail,
      List<FieldError> errors,
      @Nullable UUID id) {
    ObjectNode body = JSON.createObjectNode();
    body.put("type", catalogue + code.code());
    body.put("title", code.title());
    body.put("status", status);
    body.put("code", code.code());
    if (detail != null) {
      body.put("detail", detail);
    }
    if (id != null) {
      body.put("decision_id", id.toString());
    }
    if (!errors.isEmpty()) {
      ArrayNode list = body.putArray("errors");
      for (FieldError error : errors) {
        list.addObject()
            .put("pointer", error.pointer())
            .put("code", error.code())
            .put("detail", error.detail());
      }
    }
    return JSON.writeValueAsBytes(body);
  }

  private static void write(HttpServletResponse response, int status, byte[] body)
      throws IOException {
    if (response.isCommitted()) {
      return;
    }
    response.resetBuffer();
    response.setStatus(status);
    response.setContentType("application/problem+json");
    response.setHeader("Cache-Control", "no-store");
    if (status == 503 || status == 429) {
      response.setHeader("Retry-After", status == 503 ? "1" : "60");
    }
    response.setContentLength(body.length);
    response.getOutputStream().write(body);
    response.flushBuffer();
  }

  /** What a status means when nothing more is known. */
  static ProblemCode codeFor(int status) {
    return switch (status) {
      case 401 -> ProblemCode.UNAUTHORIZED;
      case 403 -> ProblemCode.FORBIDDEN;
      case 404 -> ProblemCode.NOT_FOUND;
      case 405 -> ProblemCode.METHOD_NOT_ALLOWED;
      case 412 -> ProblemCode.PRECONDITION_FAILED;
      case 413 -> ProblemCode.CONTENT_TOO_LARGE;
      case 414 -> ProblemCode.URI_TOO_LONG;
      case 415 -> ProblemCode.UNSUPPORTED_MEDIA_TYPE;
      case 417 -> ProblemCode.EXPECTATION_FAILED;
      case 428 -> ProblemCode.PRECONDITION_REQUIRED;
      case 431 -> ProblemCode.HEADERS_TOO_LARGE;
      case 429 -> ProblemCode.RATE_LIMITED;
      case 503 -> ProblemCode.TEMPORARILY_UNAVAILABLE;
      default -> status < 500 ? ProblemCode.INVALID_REQUEST : ProblemCode.INTERNAL;
    };
  }
}
