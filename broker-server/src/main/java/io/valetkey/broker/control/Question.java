package io.valetkey.broker.control;

import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What somebody wants explained. Not a record, because it can hold an identity token. */
public final class Question {

  private final @Nullable String agent;
  private final @Nullable SecretValue identityToken;
  private final String destination;
  private final @Nullable String method;
  private final @Nullable String path;
  private final @Nullable String scope;
  private final RequestFacts facts;

  private Question(JsonFields fields) {
    this.agent = fields.text("agent");
    String token = fields.text("identity_token");
    this.identityToken = token == null || token.isEmpty() ? null : SecretValue.of(token);
    this.destination = fields.requiredText("destination");
    this.method = fields.text("method");
    this.path = fields.text("path");
    this.scope = fields.text("scope");
    this.facts = facts(fields, method == null ? "" : method);
    if ((agent == null) == (identityToken == null)) {
      fields.error("agent", FieldError.REQUIRED, "must be there, or identity_token, and not both");
    }
    if ((method == null) != (path == null)) {
      fields.error(
          method == null ? "method" : "path", FieldError.REQUIRED, "must come with the other");
    }
    if (method != null && !method.equals(method.toUpperCase(Locale.ROOT))) {
      fields.error("method", FieldError.INVALID_VALUE, "must be in upper case");
    }
  }

  /** A body is JSON; a question that says nothing of headers means those that go with it. */
  private static RequestFacts facts(JsonFields fields, String method) {
    String query = fields.text("query");
    Map<String, String> headers = fields.textMap("headers");
    JsonNode json = fields.json("body");
    RequestBody body =
        json == null ? null : new RequestBody(json.toString().getBytes(StandardCharsets.UTF_8));
    if (headers == null && body != null) {
      headers = Map.of("content-type", "application/json");
    }
    boolean bodyless = ScopeRules.BODYLESS.contains(method) || method.equals(ScopeRules.WEB_SOCKET);
    if (bodyless && body != null) {
      fields.error("body", FieldError.INVALID_VALUE, "this method has no body");
    }
    return new QuestionFacts(bodyless, query, headers, body);
  }

  /** Reads it; what the names stand for need not exist. */
  public static Question read(ObjectNode document) {
    return JsonFields.read(document, Question::new);
  }

  @Nullable String agent() {
    return agent;
  }

  @Nullable SecretValue identityToken() {
    return identityToken;
  }

  String destination() {
    return destination;
  }

  @Nullable String scope() {
    return scope;
  }

  /** What else is known of the request. */
  RequestFacts facts() {
    return facts;
  }

  /** The method, or null if the question is only whether a token would be issued. */
  @Nullable String method() {
    return method;
  }

  /**
   * The path; whether the destination takes it, its rules say.
   *
   * @throws RefusedException if it has none
   */
  RequestPath path() {
    return RequestPath.receive(String.valueOf(path));
  }
}
