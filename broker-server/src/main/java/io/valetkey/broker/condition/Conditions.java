package io.valetkey.broker.condition;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a rule asks for beyond method and path, as it was written. What is null is not asked.
 *
 * @param query the parameters that a request may have, by name
 * @param contentTypes the media types that a body may have, in lower case, without parameters
 * @param maxBody the largest body, in bytes
 * @param jsonRpc the calls that a body may hold
 * @param when a condition in the Common Expression Language
 * @param maxConditionBody the largest body that {@code jsonRpc} and {@code when} look at, in bytes
 */
public record Conditions(
    @Nullable Map<String, QueryValues> query,
    @Nullable List<String> contentTypes,
    @Nullable Long maxBody,
    @Nullable JsonRpc jsonRpc,
    @Nullable String when,
    @Nullable Long maxConditionBody) {

  /** The largest body that is looked at, in bytes, where a rule names no other. */
  public static final int MAX_CONDITION_BODY = 256 << 10;

  /**
   * Calls of JSON-RPC 2.0, as MCP uses it.
   *
   * @param methods the methods that may be called or notified
   * @param tools the tools that {@code tools/call} may name; any if absent
   * @param responses whether answers to the server's own requests are allowed; false if absent
   */
  public record JsonRpc(
      List<String> methods, @Nullable List<String> tools, @Nullable Boolean responses) {}

  /** Conditions on the query alone. */
  public static Conditions onQuery(Map<String, QueryValues> query) {
    return new Conditions(query, null, null, null, null, null);
  }

  /** A condition in the Common Expression Language alone. */
  public static Conditions onlyWhen(String when) {
    return new Conditions(null, null, null, null, when, null);
  }

  /** Conditions on calls of JSON-RPC alone. */
  public static Conditions onJsonRpc(JsonRpc jsonRpc) {
    return new Conditions(null, null, null, jsonRpc, null, null);
  }

  /** Whether nothing is asked. */
  public boolean isEmpty() {
    return query == null
        && contentTypes == null
        && maxBody == null
        && jsonRpc == null
        && when == null
        && maxConditionBody == null;
  }
}
