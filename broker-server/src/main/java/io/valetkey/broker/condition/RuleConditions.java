package io.valetkey.broker.condition;

import io.valetkey.broker.problem.ProblemCode;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** All conditions of one rule, compiled. Each has to be met. */
public final class RuleConditions {

  private static final Set<String> JSON_CHARSETS = Set.of("", "charset=utf-8");

  private final @Nullable Map<String, QueryValues> query;
  private final @Nullable List<String> contentTypes;
  private final long maxBody;
  private final @Nullable JsonRpcCondition jsonRpc;
  private final @Nullable WhenCondition when;
  private final boolean broken;
  private final int maxConditionBody;
  private final Set<String> hiddenHeaders;

  /**
   * Compiles them. A condition that this version cannot compile is never met.
   *
   * @param hiddenHeaders the lower-case names of headers that are not sent as they came
   */
  public RuleConditions(Conditions written, Set<String> hiddenHeaders) {
    this.query = written.query();
    this.contentTypes = written.contentTypes();
    this.maxBody = written.maxBody() == null ? Long.MAX_VALUE : written.maxBody();
    this.jsonRpc = written.jsonRpc() == null ? null : new JsonRpcCondition(written.jsonRpc());
    this.when = written.when() == null ? null : compiled(written.when());
    this.broken = written.when() != null && when == null;
    this.maxConditionBody =
        written.maxConditionBody() == null
            ? Conditions.MAX_CONDITION_BODY
            : Math.toIntExact(written.maxConditionBody());
    this.hiddenHeaders = hiddenHeaders;
  }

  private static @Nullable WhenCondition compiled(String text) {
    try {
      return WhenCondition.compile(text);
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  /** The largest body of a request that they allow, in bytes. */
  public long maxBody() {
    return maxBody;
  }

  /**
   * Whether the request has everything that is asked for.
   *
   * @param path the path as it is sent
   */
  public Verdict check(String method, String path, Asker asker, RequestFacts facts) {
    if (broken) {
      return Verdict.failed("when is no condition of this version");
    }
    RequestBody body = facts.sentBody();
    if (body != null && body.length() > maxBody) {
      return new Verdict.Unmet(
          ProblemCode.CONTENT_TOO_LARGE, "the body is larger than the rule allows");
    }
    Verdict verdict = checkQuery(facts);
    if (verdict instanceof Verdict.Met) {
      verdict = checkContentType(facts);
    }
    if (verdict instanceof Verdict.Met && (jsonRpc != null || when != null)) {
      verdict = checkContent(method, path, asker, facts);
    }
    return verdict;
  }

  private Verdict checkContent(String method, String path, Asker asker, RequestFacts facts) {
    boolean reads = jsonRpc != null || asksFor(Part.BODY);
    boolean noBody = facts.knows(Part.BODY) && facts.sentBody() == null;
    if (reads && !noBody) {
      Verdict readable = checkReadable(facts);
      if (!(readable instanceof Verdict.Met)) {
        return readable;
      }
    }
    RequestBody body = facts.sentBody();
    Object json = reads && body != null ? body.json() : null;
    if (jsonRpc != null) {
      Verdict calls =
          json == null ? Verdict.failed("there is no body with a call") : jsonRpc.check(json);
      if (!(calls instanceof Verdict.Met)) {
        return calls;
      }
    }
    return when == null ? Verdict.MET : checkWhen(when, method, path, asker, facts, json);
  }

  /** Whether the body is there and is JSON, by what is said about it before what it says. */
  private Verdict checkReadable(RequestFacts facts) {
    if (!facts.knows(Part.HEADERS)) {
      return new Verdict.Missing(Part.HEADERS, 0);
    }
    Map<String, List<String>> headers = facts.sentHeaders(hiddenHeaders);
    if (headers.containsKey("content-encoding") || !isJson(headers)) {
      return Verdict.failed("the body is not announced as JSON in UTF-8 without a coding");
    }
    RequestBody body = facts.sentBody();
    if (body == null) {
      return new Verdict.Missing(Part.BODY, maxConditionBody);
    }
    if (body.length() > maxConditionBody) {
      return new Verdict.Unmet(
          ProblemCode.CONTENT_TOO_LARGE,
          "body_too_large_for_condition: the rule looks at no larger one");
    }
    return body.json() == null
        ? new Verdict.Unmet(ProblemCode.INVALID_JSON, "the body is no JSON that has one reading")
        : Verdict.MET;
  }

  private static boolean isJson(Map<String, List<String>> headers) {
    String type = mediaType(headers);
    if (type == null || !(type.equals("application/json") || type.endsWith("+json"))) {
      return false;
    }
    String written = headers.getOrDefault("content-type", List.of()).getFirst();
    int parameters = written.indexOf(';');
    String charset =
        parameters < 0 ? "" : written.substring(parameters + 1).strip().toLowerCase(Locale.ROOT);
    return JSON_CHARSETS.contains(charset);
  }

  private boolean asksFor(Part part) {
    return when != null && when.needs().contains(part);
  }

  private Verdict checkWhen(
      WhenCondition asked,
      String method,
      String path,
      Asker asker,
      RequestFacts facts,
      @Nullable Object json) {
    if (asksFor(Part.IDENTITY) && (asker.issuer() == null || asker.subject() == null)) {
      return new Verdict.Missing(Part.IDENTITY, 0);
    }
    for (Part part : asked.needs()) {
      if (part != Part.IDENTITY && !facts.knows(part)) {
        return new Verdict.Missing(part, maxConditionBody);
      }
    }
    Map<String, String> parameters = Map.of();
    if (asksFor(Part.QUERY)) {
      QueryString sent = QueryString.parse(facts.sentQuery());
      if (sent == null || !sent.ambiguous().isEmpty()) {
        return Verdict.failed("the query has no one reading");
      }
      parameters = sent.values();
    }
    Map<String, String> headers = new HashMap<>();
    if (asksFor(Part.HEADERS)) {
      for (var header : facts.sentHeaders(hiddenHeaders).entrySet()) {
        if (header.getValue().size() > 1) {
          return Verdict.failed("a header is there twice");
        }
        headers.put(header.getKey(), header.getValue().getFirst());
      }
    }
    return asked.check(new WhenCondition.Subject(method, path, asker, parameters, headers, json));
  }

  private Verdict checkQuery(RequestFacts facts) {
    if (query == null) {
      return Verdict.MET;
    }
    if (!facts.knows(Part.QUERY)) {
      return new Verdict.Missing(Part.QUERY, 0);
    }
    QueryString sent = QueryString.parse(facts.sentQuery());
    if (sent == null) {
      return Verdict.failed("the query has no one reading");
    }
    for (Map.Entry<String, String> parameter : sent.values().entrySet()) {
      switch (query.get(parameter.getKey())) {
        case null -> {
          return Verdict.unmet("the query has a parameter that the rule does not name");
        }
        case QueryValues.Any() -> {}
        case QueryValues.OneOf(List<String> values) -> {
          if (sent.ambiguous().contains(parameter.getKey())) {
            return Verdict.failed("a parameter has a +, which has two readings");
          }
          if (!values.contains(parameter.getValue())) {
            return Verdict.unmet("a parameter has a value that the rule does not name");
          }
        }
      }
    }
    return Verdict.MET;
  }

  private Verdict checkContentType(RequestFacts facts) {
    if (contentTypes == null) {
      return Verdict.MET;
    }
    boolean noBody = facts.knows(Part.BODY) && facts.sentBody() == null;
    if (noBody) {
      return Verdict.MET;
    }
    if (!facts.knows(Part.HEADERS)) {
      return new Verdict.Missing(Part.HEADERS, 0);
    }
    String type = mediaType(facts.sentHeaders(hiddenHeaders));
    return type != null && contentTypes.contains(type)
        ? Verdict.MET
        : Verdict.unmet("the body is not of one content type that the rule names");
  }

  /** The media type without its parameters; null unless there is exactly one. */
  private static @Nullable String mediaType(Map<String, List<String>> headers) {
    List<String> types = headers.getOrDefault("content-type", List.of());
    if (types.size() != 1 || types.getFirst().indexOf(',') >= 0) {
      return null;
    }
    String type = types.getFirst();
    int parameters = type.indexOf(';');
    return (parameters < 0 ? type : type.substring(0, parameters)).strip().toLowerCase(Locale.ROOT);
  }
}
