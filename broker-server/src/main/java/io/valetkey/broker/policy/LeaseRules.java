package io.valetkey.broker.policy;

import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import java.net.InetAddress;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What a leased destination must be, and what its scopes may say. */
final class LeaseRules {

  private static final Pattern ROLE = Pattern.compile("[A-Za-z0-9_@:-][A-Za-z0-9_.@:+=-]{0,127}");
  private static final Duration SHORTEST = Duration.ofSeconds(5);
  private static final Duration LONGEST = Duration.ofDays(7);
  private static final int MOST_LIVE = 10_000;

  private final Predicate<InetAddress> leasable;

  LeaseRules(Predicate<InetAddress> leasable) {
    this.leasable = leasable;
  }

  void check(DestinationSpec spec, Errors errors) {
    if (!(spec.credential() instanceof Credential.VaultDynamic dynamic)) {
      errors.invalid("/credential/source", "must be vault-dynamic where a credential is leased");
      return;
    }
    LeaseEngine engine = Destination.engine(spec, dynamic);
    if (engine == null) {
      errors.add(
          "/credential/engine",
          FieldError.REQUIRED,
          "is required: the origin does not tell which engine it is");
      return;
    }
    if ((spec.kind() == DestinationKind.AWS) != (engine == LeaseEngine.AWS)) {
      errors.invalid("/kind", "must be aws for the engine aws, and for no other");
    }
    String originError = WebAddress.leaseOriginError(spec.origin(), engine.schemes(), leasable);
    if (originError != null) {
      errors.invalid("/origin", originError);
    }
    DestinationRules.checkMount("/credential/mount", dynamic.mount(), errors);
    checkRole("/credential/role", dynamic.role(), errors);
    if (Boolean.TRUE.equals(dynamic.fixed()) && !engine.hasStaticRoles()) {
      errors.invalid("/credential/static", "must be left out: the engine has no static roles");
    }
    checkParameters(engine, dynamic.parameters() == null ? Map.of() : dynamic.parameters(), errors);
    refuse("/clientCertificate", spec.clientCertificate(), errors);
    refuse("/slot", spec.slot(), errors);
    refuse("/slots", spec.slots(), errors);
    refuse("/signing", spec.signing(), errors);
    refuse("/timeout", spec.timeout(), errors);
    refuse("/maxStream", spec.maxStream(), errors);
    refuse("/maxRequestBody", spec.maxRequestBody(), errors);
    refuse("/http2", spec.http2(), errors);
    refuse("/audit", spec.audit(), errors);
    refuse("/rewriteBodies", spec.rewriteBodies(), errors);
    refuse("/rawPath", spec.rawPath(), errors);
  }

  private static void checkParameters(
      LeaseEngine engine, Map<String, String> parameters, Errors errors) {
    parameters.forEach((name, value) -> {
      if (!engine.knownParameters().contains(name)) {
        Set<String> known = new TreeSet<>(engine.knownParameters());
        errors.invalid(
            FieldError.join("/credential/parameters", name),
            "is not a parameter of this engine; it has " + (known.isEmpty() ? "none" : known));
      } else if (value.isEmpty()
          || value.length() > 512
          || value.chars().anyMatch(c -> c < ' ' || c >= 0x7f)) {
        errors.invalid(
            FieldError.join("/credential/parameters", name),
            "must be 1 to 512 printable ASCII characters");
      }
    });
    for (String name : new TreeSet<>(engine.neededParameters())) {
      if (!parameters.containsKey(name)) {
        errors.add(
            FieldError.join("/credential/parameters", name), FieldError.REQUIRED, "is required");
      }
    }
  }

  /** What the gateway would do with it would never happen: say so instead of ignoring it. */
  private static void refuse(String pointer, @Nullable Object value, Errors errors) {
    if (value != null) {
      errors.invalid(pointer, "must be left out: no request passes the gateway");
    }
  }

  static void checkTerms(ScopeSpec.Lease terms, Errors errors) {
    if (terms.role() != null) {
      checkRole("/lease/role", terms.role(), errors);
    }
    Duration ttl = terms.maxTtl();
    if (ttl != null && (ttl.compareTo(SHORTEST) < 0 || ttl.compareTo(LONGEST) > 0)) {
      errors.invalid("/lease/maxTtl", "must be from 5s to 7d");
    }
    Integer live = terms.maxLive();
    if (live != null && (live < 1 || live > MOST_LIVE)) {
      errors.invalid("/lease/maxLive", "must be from 1 to " + MOST_LIVE);
    }
  }

  private static void checkRole(String pointer, String role, Errors errors) {
    if (!ROLE.matcher(role).matches()) {
      errors.invalid(pointer, "must be the name of a role in Vault, without slashes");
    }
  }
}
