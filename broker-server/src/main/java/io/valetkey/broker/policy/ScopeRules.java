package io.valetkey.broker.policy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * All allow rules of one destination, compiled into a trie of path segments. It is immutable,
 * allocates nothing while it matches, and its cost depends on the rules of this destination alone.
 *
 * <p>What no rule allows is not allowed: there are no deny rules, so their order never matters.
 */
public final class ScopeRules {

  /** The methods that a rule can name and a request can have, in upper case. */
  public static final List<String> METHODS =
      List.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");

  /**
   * What is asked for in place of a method when a {@code GET} is to become a WebSocket. No request
   * has it as its method, and rules allow it by {@link ScopeSpec.Rule#webSocket()}.
   */
  public static final String WEB_SOCKET = "WEBSOCKET";

  /**
   * The rule that allowed a request.
   *
   * @param scope the scope's name
   * @param pattern the path pattern as it was written
   */
  public record Match(String scope, String pattern) {}

  /** In which way a rule that did not allow a request came close to it. */
  public enum Closeness {
    /** It allows exactly this, but its scope was not among the allowed ones. */
    OTHER_SCOPE,
    /** It allows the path for other methods. */
    OTHER_METHOD,
    /** It allows paths that begin the same way. */
    SAME_PREFIX
  }

  /**
   * The rule that came closest to allowing a request.
   *
   * @param closeness in which way it is close
   * @param rule scope and pattern
   * @param methods the methods it allows
   * @param scopeAllowed whether its scope was among the allowed ones
   */
  public record Nearest(
      Closeness closeness, Match rule, List<String> methods, boolean scopeAllowed) {}

  private record Rule(Match match, PathPattern pattern, int methods) {}

  private static final class Node {
    private final Map<String, Node> literals = new HashMap<>();
    private @Nullable Node one;
    private final List<Rule> here = new ArrayList<>();
    private final List<Rule> rest = new ArrayList<>();
  }

  private final Node root = new Node();
  private final List<Rule> all = new ArrayList<>();

  /**
   * Compiles the rules.
   *
   * @param rulesByScope the rules of each scope, by the scope's name
   * @throws IllegalArgumentException if a method or a path is not one, with a sentence that says so
   */
  public ScopeRules(Map<String, List<ScopeSpec.Rule>> rulesByScope) {
    rulesByScope.forEach((scope, rules) -> {
      for (ScopeSpec.Rule rule : rules) {
        int methods = mask(rule.methods());
        if (Boolean.TRUE.equals(rule.webSocket()) && (methods & bit("GET")) != 0) {
          methods |= bit(WEB_SOCKET);
        }
        for (String path : rule.paths()) {
          add(new Rule(new Match(scope, path), PathPattern.parse(path), methods));
        }
      }
    });
  }

  /**
   * Finds a rule that allows the request. Of several, the one with a literal where the others have
   * a wildcard.
   *
   * @param method in upper case, or {@link #WEB_SOCKET}; one that is not among {@link #METHODS} is
   *     never allowed
   * @param path the path
   * @param allowedScopes whether a scope counts
   * @return the rule, or null if nothing allows the request
   */
  public @Nullable Match match(String method, RequestPath path, Predicate<String> allowedScopes) {
    int bit = bit(method);
    return bit == 0 ? null : match(root, 0, bit, path, allowedScopes);
  }

  /**
   * Finds what came closest, for the question "why not?".
   *
   * @return the closest rule, or null if no rule shares even the first segment
   */
  public @Nullable Nearest nearest(
      String method, RequestPath path, Predicate<String> allowedScopes) {
    return all.stream()
        .filter(rule -> rule.pattern().sharedPrefix(path) > 0)
        .min(
            Comparator.comparing((Rule rule) -> closeness(rule, method, path))
                .thenComparingInt(rule -> -rule.pattern().sharedPrefix(path))
                .thenComparing(rule -> !allowedScopes.test(rule.match().scope())))
        .map(rule ->
            new Nearest(
                closeness(rule, method, path),
                rule.match(),
                methods(rule.methods()),
                allowedScopes.test(rule.match().scope())))
        .orElse(null);
  }

  private static @Nullable Match match(
      Node node, int depth, int bit, RequestPath path, Predicate<String> scopes) {
    if (depth == path.size()) {
      return first(node.here, bit, scopes);
    }
    String segment = path.segment(depth);
    Node literal = node.literals.get(segment);
    Match found = literal == null ? null : match(literal, depth + 1, bit, path, scopes);
    if (found == null && node.one != null && !segment.isEmpty()) {
      found = match(node.one, depth + 1, bit, path, scopes);
    }
    return found == null ? first(node.rest, bit, scopes) : found;
  }

  private static @Nullable Match first(List<Rule> rules, int bit, Predicate<String> scopes) {
    for (int i = 0; i < rules.size(); i++) {
      Rule rule = rules.get(i);
      if ((rule.methods() & bit) != 0 && scopes.test(rule.match().scope())) {
        return rule.match();
      }
    }
    return null;
  }

  private void add(Rule rule) {
    all.add(rule);
    Node node = root;
    for (PathPattern.Part part : rule.pattern().parts()) {
      switch (part) {
        case PathPattern.Part.Literal(String segment) ->
            node = node.literals.computeIfAbsent(segment, s -> new Node());
        case PathPattern.Part.One() -> {
          Node next = node.one == null ? new Node() : node.one;
          node.one = next;
          node = next;
        }
        case PathPattern.Part.Rest() -> {
          node.rest.add(rule);
          return;
        }
      }
    }
    node.here.add(rule);
  }

  private static Closeness closeness(Rule rule, String method, RequestPath path) {
    if (!rule.pattern().matches(path)) {
      return Closeness.SAME_PREFIX;
    }
    return (rule.methods() & bit(method)) == 0 ? Closeness.OTHER_METHOD : Closeness.OTHER_SCOPE;
  }

  private static int mask(List<String> methods) {
    int mask = 0;
    for (String method : methods) {
      int bit = METHODS.contains(method) ? bit(method) : 0;
      if (bit == 0) {
        throw new IllegalArgumentException(
            "'" + method + "' is not a method that a rule can allow; it can be one of " + METHODS);
      }
      mask |= bit;
    }
    return mask;
  }

  private static List<String> methods(int mask) {
    return METHODS.stream().filter(method -> (mask & bit(method)) != 0).toList();
  }

  private static int bit(String method) {
    return switch (method) {
      case "GET" -> 1;
      case "HEAD" -> 2;
      case "POST" -> 4;
      case "PUT" -> 8;
      case "PATCH" -> 16;
      case "DELETE" -> 32;
      case "OPTIONS" -> 64;
      case WEB_SOCKET -> 128;
      default -> 0;
    };
  }
}
