package io.valetkey.broker.policy;

import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.RuleConditions;
import io.valetkey.broker.condition.Verdict;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * All allow rules of one destination, compiled into a trie of path segments. It is immutable,
 * allocates nothing while it matches, and its cost depends on the rules of this destination alone.
 *
 * <p>What no rule allows is not allowed: there are no deny rules, so their order never matters. A
 * rule whose scope needs approvals counts only where no other allows the request without one.
 */
public final class ScopeRules {

  /** The methods that a rule can name and a request can have, in upper case. */
  public static final List<String> METHODS =
      List.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");

  /** Those whose requests have no body. */
  public static final Set<String> BODYLESS = Set.of("GET", "HEAD", "DELETE");

  /**
   * What is asked for in place of a method when a {@code GET} is to become a WebSocket. No request
   * has it as its method, and rules allow it by {@link ScopeSpec.Rule#webSocket()}.
   */
  public static final String WEB_SOCKET = "WEBSOCKET";

  /** What the rules say about a request that one of them is about. */
  public sealed interface Answer {}

  /**
   * The rule that allowed a request.
   *
   * @param scope the scope's name
   * @param pattern the path pattern as it was written
   * @param id scope and pattern, and which rule of the scope it is if it has conditions
   * @param maxBody the largest body that it allows, in bytes
   * @param approval on which terms somebody has to approve the request; null if nobody has to
   */
  public record Match(
      String scope, String pattern, String id, long maxBody, @Nullable ApprovalTerms approval)
      implements Answer {

    /** A rule without conditions. */
    public Match(String scope, String pattern) {
      this(scope, pattern, scope + ":" + pattern, Long.MAX_VALUE, null);
    }
  }

  /**
   * Rules allow the method on the path, and no conditions are met.
   *
   * @param rule the one of them that was asked first
   * @param unmet what it says
   */
  public record Unmet(Match rule, Verdict.Unmet unmet) implements Answer {}

  /**
   * Whether a rule allows the request depends on a part of it that is not known.
   *
   * @param rule the first one that asks for such a part
   * @param part the part
   * @param mostBytes of a body, how many bytes at most any of the rules would look at; else 0
   */
  public record Missing(Match rule, Part part, int mostBytes) implements Answer {}

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

  private record Rule(
      Match match, PathPattern pattern, int methods, @Nullable RuleConditions conditions) {}

  private static final class Node {
    private final Map<String, Node> literals = new HashMap<>();
    private @Nullable Node one;
    private final List<Rule> here = new ArrayList<>();
    private final List<Rule> rest = new ArrayList<>();
  }

  private final Node root = new Node();
  private final List<Rule> all = new ArrayList<>();
  private final boolean rawPath;

  /** Compiles the rules of a destination that sends all other headers as they came. */
  public ScopeRules(Map<String, List<ScopeSpec.Rule>> rulesByScope) {
    this(rulesByScope, Set.of());
  }

  /**
   * Compiles the rules.
   *
   * @param rulesByScope the rules of each scope, by the scope's name
   * @param hiddenHeaders the lower-case names of headers that the destination does not get as they
   *     came, which conditions do not see
   * @throws IllegalArgumentException if a method or a path is not one, with a sentence that says so
   */
  public ScopeRules(Map<String, List<ScopeSpec.Rule>> rulesByScope, Set<String> hiddenHeaders) {
    this(rulesByScope, hiddenHeaders, Map.of(), false);
  }

  /**
   * The same, where somebody has to approve the requests of some scopes, or paths are bytes.
   *
   * @param approvals on which terms, by the scope's name
   * @param rawPath whether the destination takes paths as bytes
   * @throws IllegalArgumentException as above
   */
  public ScopeRules(
      Map<String, List<ScopeSpec.Rule>> rulesByScope,
      Set<String> hiddenHeaders,
      Map<String, ApprovalTerms> approvals,
      boolean rawPath) {
    this.rawPath = rawPath;
    rulesByScope.forEach((scope, rules) -> {
      ApprovalTerms approval = approvals.get(scope);
      long most = approval == null ? Long.MAX_VALUE : ApprovalTerms.MOST_BODY;
      for (int i = 0; i < rules.size(); i++) {
        ScopeSpec.Rule rule = rules.get(i);
        int methods = mask(rule.methods());
        if (Boolean.TRUE.equals(rule.webSocket()) && (methods & bit("GET")) != 0) {
          methods |= bit(WEB_SOCKET);
        }
        RuleConditions conditions =
            rule.conditions() == null ? null : new RuleConditions(rule.conditions(), hiddenHeaders);
        for (String path : rule.paths()) {
          String id = scope + ":" + path;
          Match match =
              conditions == null
                  ? new Match(scope, path, id, most, approval)
                  : new Match(
                      scope, path, id + "#" + i, Math.min(most, conditions.maxBody()), approval);
          PathPattern pattern = rawPath ? PathPattern.parseRaw(path) : PathPattern.parse(path);
          add(new Rule(match, pattern, methods, conditions));
        }
      }
    });
  }

  /**
   * The path in the form that these rules are about.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_PATH} if it does not have that form
   */
  public RequestPath read(RequestPath received) {
    return received.readAs(rawPath);
  }

  boolean readsRawPaths() {
    return rawPath;
  }

  /**
   * Finds a rule that allows the request. Of several, one that needs no approval; of those the one
   * with a literal where the others have a wildcard.
   *
   * @param attempt the request; a method that is not among {@link #METHODS} and not {@link
   *     #WEB_SOCKET} is never allowed
   * @param allowedScopes whether a scope counts
   * @return the rule, if one allows the request; else whether that is for want of a part of it or
   *     for its conditions; null if no rule allows the method on the path
   * @throws RefusedException as {@link #read}
   */
  public @Nullable Answer match(Attempt attempt, Predicate<String> allowedScopes) {
    RequestPath path = read(attempt.path());
    int bit = bit(attempt.method());
    return bit == 0 ? null : match(root, path, 0, bit, attempt, allowedScopes);
  }

  /**
   * Finds what came closest, for the question "why not?".
   *
   * @return the closest rule, or null if no rule shares even the first segment
   * @throws RefusedException as {@link #read}
   */
  public @Nullable Nearest nearest(
      String method, RequestPath received, Predicate<String> allowedScopes) {
    RequestPath path = read(received);
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

  private @Nullable Answer match(
      Node node, RequestPath path, int depth, int bit, Attempt attempt, Predicate<String> scopes) {
    if (depth == path.size()) {
      return first(node.here, bit, attempt, scopes);
    }
    String segment = path.segment(depth);
    Node literal = node.literals.get(segment);
    Answer found = literal == null ? null : match(literal, path, depth + 1, bit, attempt, scopes);
    if (!isYes(found) && node.one != null && !segment.isEmpty()) {
      found = better(found, match(node.one, path, depth + 1, bit, attempt, scopes));
    }
    boolean nothingLeft = rawPath && segment.isEmpty() && depth == path.size() - 1;
    return isYes(found) || nothingLeft
        ? found
        : better(found, first(node.rest, bit, attempt, scopes));
  }

  private static @Nullable Answer first(
      List<Rule> rules, int bit, Attempt attempt, Predicate<String> scopes) {
    Answer found = null;
    for (int i = 0; i < rules.size(); i++) {
      Rule rule = rules.get(i);
      if ((rule.methods() & bit) != 0 && scopes.test(rule.match().scope())) {
        found =
            better(
                found,
                rule.conditions() == null
                    ? rule.match()
                    : asked(rule.match(), rule.conditions(), attempt));
        if (isYes(found)) {
          return found;
        }
      }
    }
    return found;
  }

  private static Answer asked(Match match, RuleConditions conditions, Attempt attempt) {
    Verdict verdict =
        conditions.check(attempt.method(), attempt.path().raw(), attempt.asker(), attempt.facts());
    return switch (verdict) {
      case Verdict.Met() -> match;
      case Verdict.Unmet unmet -> new Unmet(match, unmet);
      case Verdict.Missing(Part part, int mostBytes) -> new Missing(match, part, mostBytes);
    };
  }

  private static boolean isYes(@Nullable Answer answer) {
    return answer instanceof Match match && match.approval() == null;
  }

  /**
   * A yes comes before a perhaps, that before a yes that needs an approval, and that before a no;
   * among the same, what was found first.
   */
  private static @Nullable Answer better(@Nullable Answer first, @Nullable Answer second) {
    return switch (second) {
      case null -> first;
      case Match match when match.approval() == null -> match;
      case Match match -> {
        if (first instanceof Missing perhaps) {
          yield orApproved(perhaps);
        }
        yield first instanceof Match ? first : match;
      }
      case Missing more when first instanceof Missing(Match rule, Part part, int mostBytes) ->
          new Missing(rule, part, Math.max(mostBytes, more.mostBytes()));
      case Missing missing -> first instanceof Match ? orApproved(missing) : missing;
      case Unmet unmet -> first == null ? unmet : first;
    };
  }

  /** A body that is too large for a condition may still be one that somebody can approve. */
  private static Missing orApproved(Missing perhaps) {
    return perhaps.part() == Part.BODY
        ? new Missing(
            perhaps.rule(), Part.BODY, Math.max(perhaps.mostBytes(), ApprovalTerms.MOST_BODY))
        : perhaps;
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
        case PathPattern.Part.Rest _, PathPattern.Part.Tail _ -> {
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
