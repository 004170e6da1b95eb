package io.valetkey.broker.admin;

import io.valetkey.broker.policy.Precondition;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** What a request to the admin API says beside its path, read strictly. */
final class AdminRequest {

  private static final Pattern TAG = Pattern.compile("\\s*(W/)?\"([\\x21\\x23-\\x7e]*)\"\\s*(,|$)");
  private static final Pattern VERSION = Pattern.compile("[1-9][0-9]{0,17}");

  private final HttpServletRequest request;

  AdminRequest(HttpServletRequest request) {
    this.request = request;
  }

  /**
   * Refuses every query parameter but these, and each that is there twice: a misspelt {@code
   * dryRun} must not turn a rehearsal into a change.
   */
  void allowParameters(String... names) {
    Set<String> allowed = Set.of(names);
    request
        .getParameterMap()
        .forEach((name, values) -> {
          if (!allowed.contains(name) || values.length != 1) {
            throw invalid(
                allowed.contains(name)
                    ? "The parameter " + name + " is there more than once."
                    : "There is a query parameter that is not understood here.");
          }
        });
  }

  /** Whether the difference is asked for and not the change. */
  boolean isDryRun() {
    return flag("dryRun");
  }

  /** A query parameter that is true or false, and false if it is not there. */
  boolean flag(String name) {
    String value = request.getParameter(name);
    if (value == null || value.equals("false")) {
      return false;
    }
    if (value.equals("true")) {
      return true;
    }
    throw invalid(name + " must be true or false.");
  }

  /** How many items a page may have. */
  int limit() {
    return number("limit", 100, 500);
  }

  /** A query parameter that is a number from 1 on. */
  int number(String name, int otherwise, int most) {
    String value = request.getParameter(name);
    if (value == null) {
      return otherwise;
    }
    if (!value.matches("[1-9][0-9]{0,8}") || Integer.parseInt(value) > most) {
      throw invalid("The %s must be from 1 to %d.".formatted(name, most));
    }
    return Integer.parseInt(value);
  }

  /** A query parameter, or null. */
  @Nullable String parameter(String name) {
    return request.getParameter(name);
  }

  /** A query parameter that is the name of a resource, or null. */
  @Nullable String name(String parameter) {
    String value = request.getParameter(parameter);
    if (value != null && !ResourceId.isName(value)) {
      throw invalid("The filter " + parameter + " must be the name of a resource.");
    }
    return value;
  }

  /** The body. */
  ObjectNode body(StrictJson json) throws IOException {
    return json.object(bytes());
  }

  /** The body as it came, at most one byte more than it may have. */
  byte[] bytes() throws IOException {
    return bytes(StrictJson.MAX_BYTES);
  }

  /** The body as it came, at most one byte more than this. */
  byte[] bytes(int most) throws IOException {
    if (request.getContentLengthLong() > most) {
      throw new RefusedException(
          ProblemCode.CONTENT_TOO_LARGE, "The body may have " + (most >> 20) + " MiB.");
    }
    return request.getInputStream().readNBytes(most + 1);
  }

  /** The state that the resource is expected to be in (RFC 9110 section 13.1). */
  Precondition precondition() {
    String match = header("If-Match");
    String noneMatch = header("If-None-Match");
    if (match != null && noneMatch != null) {
      throw invalid("If-Match and If-None-Match contradict each other here.");
    }
    if (noneMatch != null) {
      if (!noneMatch.strip().equals("*")) {
        throw invalid("If-None-Match may only be * here.");
      }
      return new Precondition.Absent();
    }
    if (match == null) {
      return new Precondition.Unstated();
    }
    return match.strip().equals("*")
        ? new Precondition.Present()
        : new Precondition.VersionIn(versions(match));
  }

  /** Weak tags and tags that we never gave match nothing (RFC 9110 section 8.8.3.2). */
  private static Set<Long> versions(String match) {
    Set<Long> versions = new HashSet<>();
    Matcher tag = TAG.matcher(match);
    int end = 0;
    while (end < match.length() && tag.region(end, match.length()).lookingAt()) {
      if (tag.group(1) == null && VERSION.matcher(tag.group(2)).matches()) {
        versions.add(Long.valueOf(tag.group(2)));
      }
      end = tag.end();
    }
    if (end < match.length() || match.isBlank() || match.strip().endsWith(",")) {
      throw invalid("If-Match must be * or a list of entity tags in quotation marks.");
    }
    return versions;
  }

  private @Nullable String header(String name) {
    var values = Collections.list(request.getHeaders(name));
    return values.isEmpty() ? null : String.join(", ", values);
  }

  static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
  }
}
