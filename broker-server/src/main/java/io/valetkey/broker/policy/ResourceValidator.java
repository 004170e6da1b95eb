package io.valetkey.broker.policy;

import io.valetkey.broker.policy.AgentSpec.Identity;
import io.valetkey.broker.policy.ScopeSpec.Rule;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What a resource must be as far as it can be told from itself alone. What it refers to is checked
 * by the {@link PolicyStore}, in the transaction that stores it.
 */
public final class ResourceValidator {

  private static final Set<String> METHODS =
      Set.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");
  private static final Duration LONGEST_TOKEN = Duration.ofHours(1);
  private static final Duration SHORTEST_TOKEN = Duration.ofSeconds(1);
  private static final int MOST_IDENTITIES = 100;
  private static final int MOST_CLAIMS = 16;
  private static final int MOST_RULES = 200;
  private static final int MOST_PATHS = 200;
  private static final int MOST_SCOPES = 100;
  private static final long MOST_BYTES = 100L << 40;
  private static final int LONGEST_TEXT = 255;

  private final IssuerRules issuerRules;
  private final DestinationRules destinationRules;

  /**
   * Makes a validator.
   *
   * @param destinationAddresses which addresses destinations may name
   * @param issuerAddresses which addresses the keys and reviews of issuers may name, and leased
   *     destinations, which the gateway never connects to
   * @param bearerTokenFiles which files issuers may name; absolute and without dot segments
   */
  public ResourceValidator(
      Predicate<InetAddress> destinationAddresses,
      Predicate<InetAddress> issuerAddresses,
      Predicate<Path> bearerTokenFiles) {
    this.issuerRules = new IssuerRules(issuerAddresses, bearerTokenFiles);
    this.destinationRules = new DestinationRules(destinationAddresses, issuerAddresses);
  }

  /** Everything that is wrong with a resource, in the order of its fields; empty if nothing is. */
  public List<FieldError> check(ResourceSpec spec) {
    Errors errors = new Errors();
    switch (spec) {
      case IssuerSpec issuer -> issuerRules.check(issuer, errors);
      case AgentSpec agent -> checkAgent(agent, errors);
      case DestinationSpec destination -> destinationRules.check(destination, errors);
      case ScopeSpec scope -> checkScope(scope, errors);
      case GrantSpec grant -> checkGrant(grant, errors);
      case SignalRuleSpec rule -> SignalRuleChecks.check(rule, errors);
    }
    return errors.all();
  }

  private static void checkAgent(AgentSpec agent, Errors errors) {
    List<Identity> identities = agent.identities();
    if (identities.size() > MOST_IDENTITIES) {
      errors.invalid("/identities", "must be at most " + MOST_IDENTITIES);
    }
    Set<Identity> seen = new HashSet<>();
    for (int i = 0; i < Math.min(identities.size(), MOST_IDENTITIES); i++) {
      Identity identity = identities.get(i);
      String pointer = "/identities/" + i;
      checkReference(pointer + "/issuer", identity.issuer(), errors);
      if (!isPrintable(identity.subject())) {
        errors.invalid(pointer + "/subject", "must be 1 to 255 printable characters");
      }
      Map<String, String> claims = identity.claims() == null ? Map.of() : identity.claims();
      checkClaims(pointer + "/claims", claims, errors);
      if (!seen.add(new Identity(identity.issuer(), identity.subject(), claims))) {
        errors.invalid(pointer, "is listed twice");
      }
    }
    checkTokenTtl(agent.maxTokenTtl(), errors);
  }

  private static void checkClaims(String pointer, Map<String, String> claims, Errors errors) {
    if (claims.size() > MOST_CLAIMS) {
      errors.invalid(pointer, "must be at most " + MOST_CLAIMS);
    }
    claims.forEach((name, value) -> {
      if (!isPrintable(name) || !isPrintable(value)) {
        errors.invalid(FieldError.join(pointer, name), "must be 1 to 255 printable characters");
      }
    });
  }

  private static void checkScope(ScopeSpec scope, Errors errors) {
    List<Rule> rules = scope.allow();
    if (rules.size() > MOST_RULES) {
      errors.invalid("/allow", "must be at most " + MOST_RULES + " rules");
    }
    for (int i = 0; i < Math.min(rules.size(), MOST_RULES); i++) {
      checkRule("/allow/" + i, rules.get(i), errors);
    }
    if (scope.lease() != null) {
      LeaseRules.checkTerms(scope.lease(), errors);
    }
    if (scope.tunnel() != null) {
      if (!scope.tunnel()) {
        errors.invalid("/tunnel", "must be true, or left out");
      }
      if (scope.lease() != null) {
        errors.invalid("/tunnel", "must not be there together with lease");
      }
    }
    checkTokenTtl(scope.maxTokenTtl(), errors);
    ApprovalTerms.check(scope, errors);
  }

  private static void checkRule(String pointer, Rule rule, Errors errors) {
    checkDistinct(pointer + "/methods", rule.methods(), METHODS.size(), errors);
    for (int i = 0; i < rule.methods().size(); i++) {
      if (!METHODS.contains(rule.methods().get(i))) {
        errors.invalid(
            pointer + "/methods/" + i,
            "must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, in upper case");
      }
    }
    if (Boolean.TRUE.equals(rule.webSocket()) && !rule.methods().contains("GET")) {
      errors.invalid(pointer + "/webSocket", "needs GET among the methods: a WebSocket begins so");
    }
    checkDistinct(pointer + "/paths", rule.paths(), MOST_PATHS, errors);
    for (int i = 0; i < Math.min(rule.paths().size(), MOST_PATHS); i++) {
      String problem = checkPattern(rule.paths().get(i));
      if (problem != null) {
        errors.invalid(pointer + "/paths/" + i, problem);
      }
    }
    ConditionRules.check(pointer, rule, errors);
  }

  /** One of the two kinds; which one it has to be, the destination says. */
  private static @Nullable String checkPattern(String pattern) {
    String problem = patternError(pattern, false);
    return problem == null || patternError(pattern, true) == null ? null : problem;
  }

  /**
   * What is wrong with a path pattern; null if nothing is.
   *
   * @param raw whether its destination takes paths as bytes
   */
  static @Nullable String patternError(String pattern, boolean raw) {
    try {
      var _ = raw ? PathPattern.parseRaw(pattern) : PathPattern.parse(pattern);
      return null;
    } catch (IllegalArgumentException e) {
      return e.getMessage();
    }
  }

  private static void checkGrant(GrantSpec grant, Errors errors) {
    checkReference("/agent", grant.agent(), errors);
    checkReference("/destination", grant.destination(), errors);
    checkDistinct("/scopes", grant.scopes(), MOST_SCOPES, errors);
    for (int i = 0; i < Math.min(grant.scopes().size(), MOST_SCOPES); i++) {
      checkReference("/scopes/" + i, grant.scopes().get(i), errors);
    }
    GrantSpec.Limits limits = grant.limits();
    if (limits != null) {
      checkLimit("requestsPerMinute", limits.requestsPerMinute(), errors);
      checkLimit("modelTokensPerHour", limits.modelTokensPerHour(), errors);
      checkLimit("modelTokensPerDay", limits.modelTokensPerDay(), errors);
      checkLimit("concurrentStreams", limits.concurrentStreams(), errors);
      checkBytes(limits.bytesPerDay(), errors);
    }
  }

  private static void checkLimit(String field, @Nullable Integer limit, Errors errors) {
    if (limit != null && limit < 1) {
      errors.invalid("/limits/" + field, "must be at least 1; delete the grant for none");
    }
  }

  private static void checkBytes(DestinationSpec.@Nullable ByteSize limit, Errors errors) {
    if (limit != null && (limit.bytes() < 1 || limit.bytes() > MOST_BYTES)) {
      errors.invalid("/limits/bytesPerDay", "must be from 1B to 102400GiB");
    }
  }

  static void checkDistinct(String pointer, List<String> values, int most, Errors errors) {
    if (values.isEmpty() || values.size() > most) {
      errors.invalid(pointer, "must have 1 to " + most + " entries");
      return;
    }
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < values.size(); i++) {
      if (!seen.add(values.get(i))) {
        errors.invalid(pointer + "/" + i, "is listed twice");
      }
    }
  }

  private static void checkReference(String pointer, String name, Errors errors) {
    if (!ResourceId.isName(name)) {
      errors.invalid(pointer, "must be the name of a resource");
    }
  }

  private static void checkTokenTtl(@Nullable Duration ttl, Errors errors) {
    boolean fits =
        ttl == null || (ttl.compareTo(SHORTEST_TOKEN) >= 0 && ttl.compareTo(LONGEST_TOKEN) <= 0);
    if (!fits) {
      errors.invalid("/maxTokenTtl", "must be from 1s to 1h");
    }
  }

  static boolean isPrintable(String text) {
    return !text.isEmpty()
        && text.length() <= LONGEST_TEXT
        && text.codePoints().allMatch(ResourceValidator::isPrintable);
  }

  private static boolean isPrintable(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.UNASSIGNED,
          Character.SURROGATE ->
          false;
      default -> true;
    };
  }
}
