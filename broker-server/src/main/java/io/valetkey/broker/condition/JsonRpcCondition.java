package io.valetkey.broker.condition;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which calls of JSON-RPC 2.0 a body may hold. Of a batch each has to be allowed. A message has the
 * members that the specification gives it and no others, so that nothing can stand beside them
 * under almost the same name.
 *
 * @see <a href="https://www.jsonrpc.org/specification">JSON-RPC 2.0</a>
 */
final class JsonRpcCondition {

  private static final Set<String> OF_A_REQUEST = Set.of("jsonrpc", "id", "method", "params");
  private static final Set<String> OF_A_RESPONSE = Set.of("jsonrpc", "id", "result", "error");
  private static final String CALL_OF_A_TOOL = "tools/call";

  private final Set<String> methods;
  private final @Nullable Set<String> tools;
  private final boolean responses;

  JsonRpcCondition(Conditions.JsonRpc written) {
    this.methods = Set.copyOf(written.methods());
    this.tools = written.tools() == null ? null : Set.copyOf(written.tools());
    this.responses = Boolean.TRUE.equals(written.responses());
  }

  /**
   * Whether every message is allowed.
   *
   * @param json what {@link BodyJson} reads
   */
  Verdict check(Object json) {
    if (!(json instanceof List<?> batch)) {
      return checkMessage(json);
    }
    if (batch.isEmpty()) {
      return Verdict.failed("a batch of JSON-RPC is empty");
    }
    for (Object message : batch) {
      Verdict verdict = checkMessage(message);
      if (!(verdict instanceof Verdict.Met)) {
        return verdict;
      }
    }
    return Verdict.MET;
  }

  private Verdict checkMessage(Object json) {
    if (!(json instanceof Map<?, ?> message) || !"2.0".equals(message.get("jsonrpc"))) {
      return Verdict.failed("a message is not one of JSON-RPC 2.0");
    }
    Object id = message.get("id");
    if (id != null && !(id instanceof String) && !(id instanceof Long)) {
      return Verdict.failed("the id of a message is neither a text nor a whole number");
    }
    if (!message.containsKey("method")) {
      return checkResponse(message);
    }
    if (!OF_A_REQUEST.containsAll(message.keySet())) {
      return Verdict.failed("a request of JSON-RPC has a member that is none of it");
    }
    Object params = message.get("params");
    if (params != null && !(params instanceof Map)) {
      return Verdict.failed("the params of a message are not an object");
    }
    if (!(message.get("method") instanceof String method) || !methods.contains(method)) {
      return Verdict.unmet("a method of JSON-RPC is called that the rule does not name");
    }
    if (!method.equals(CALL_OF_A_TOOL) || tools == null) {
      return Verdict.MET;
    }
    return params instanceof Map<?, ?> named
            && named.get("name") instanceof String tool
            && tools.contains(tool)
        ? Verdict.MET
        : Verdict.unmet("a tool is called that the rule does not name");
  }

  private Verdict checkResponse(Map<?, ?> message) {
    if (!OF_A_RESPONSE.containsAll(message.keySet()) || !message.containsKey("id")) {
      return Verdict.failed("a message is neither a request nor a response of JSON-RPC");
    }
    return responses ? Verdict.MET : Verdict.unmet("the rule does not allow responses");
  }
}
