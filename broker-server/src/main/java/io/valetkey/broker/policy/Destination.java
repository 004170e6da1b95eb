package io.valetkey.broker.policy;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A destination with its scopes, as the decision and the gateway use it.
 *
 * @param name its name
 * @param kind how a credential reaches it
 * @param enabled whether it can be reached
 * @param origin the upstream as the policy writes it
 * @param host the upstream's host, as DNS and its certificate know it
 * @param port the upstream's port
 * @param credential where the real credential comes from
 * @param slot where it goes
 * @param timeout how long the upstream may take to begin its answer
 * @param maxStream how long one exchange may last
 * @param maxRequestBody the largest request body, in bytes
 * @param fullAudit whether every allowed request is a record of its own
 * @param scopes the scopes by name
 * @param rules the compiled rules of all scopes
 */
public record Destination(
    String name,
    DestinationSpec.DestinationKind kind,
    boolean enabled,
    String origin,
    String host,
    int port,
    DestinationSpec.Credential credential,
    Slot slot,
    Duration timeout,
    Duration maxStream,
    long maxRequestBody,
    boolean fullAudit,
    Map<String, ScopeSpec> scopes,
    ScopeRules rules) {

  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final Duration MAX_STREAM = Duration.ofMinutes(15);
  private static final long MAX_REQUEST_BODY = 10L << 20;
  private static final int HTTPS = 443;

  /**
   * Where the credential goes.
   *
   * @param header the header's name
   * @param prefix what stands before the credential
   * @param suffix what stands after it
   * @param basicUser the user name of HTTP Basic, or null
   */
  public record Slot(String header, String prefix, String suffix, @Nullable String basicUser) {

    private static final String PLACE = "{credential}";

    static Slot compile(DestinationSpec.@Nullable Slot spec) {
      String header = spec == null || spec.header() == null ? "Authorization" : spec.header();
      DestinationSpec.Slot.Basic basic = spec == null ? null : spec.basic();
      if (basic != null) {
        return new Slot(header, "", "", basic.username());
      }
      String format = spec == null || spec.format() == null ? "Bearer " + PLACE : spec.format();
      int place = format.indexOf(PLACE);
      return new Slot(
          header, format.substring(0, place), format.substring(place + PLACE.length()), null);
    }
  }

  static Destination compile(String name, DestinationSpec spec, Map<String, ScopeSpec> scopes) {
    URI origin = URI.create(spec.origin());
    Boolean enabled = spec.enabled();
    Duration timeout = spec.timeout();
    Duration maxStream = spec.maxStream();
    DestinationSpec.ByteSize maxBody = spec.maxRequestBody();
    return new Destination(
        name,
        spec.kind(),
        enabled == null || enabled,
        spec.origin(),
        origin.getHost(),
        origin.getPort() < 0 ? HTTPS : origin.getPort(),
        credential(spec),
        Slot.compile(spec.slot()),
        timeout == null ? TIMEOUT : timeout,
        maxStream == null ? MAX_STREAM : maxStream,
        maxBody == null ? MAX_REQUEST_BODY : maxBody.bytes(),
        spec.audit() == DestinationSpec.AuditDetail.FULL,
        Map.copyOf(scopes),
        rules(scopes));
  }

  /** The engine is known from here on, whether it was written or follows from the origin. */
  private static DestinationSpec.Credential credential(DestinationSpec spec) {
    return spec.credential() instanceof DestinationSpec.Credential.VaultDynamic dynamic
        ? new DestinationSpec.Credential.VaultDynamic(
            dynamic.mount(),
            dynamic.role(),
            engine(spec, dynamic),
            Boolean.TRUE.equals(dynamic.fixed()),
            dynamic.parameters() == null ? Map.of() : Map.copyOf(dynamic.parameters()))
        : spec.credential();
  }

  static @Nullable LeaseEngine engine(
      DestinationSpec spec, DestinationSpec.Credential.VaultDynamic dynamic) {
    if (dynamic.engine() != null) {
      return dynamic.engine();
    }
    return spec.kind() == DestinationSpec.DestinationKind.AWS
        ? LeaseEngine.AWS
        : LeaseEngine.of(spec.origin());
  }

  private static ScopeRules rules(Map<String, ScopeSpec> scopes) {
    Map<String, List<ScopeSpec.Rule>> rules = new TreeMap<>();
    scopes.forEach((scope, spec) -> rules.put(scope, spec.allow()));
    return new ScopeRules(rules);
  }

  /** Where the upstream is, with the port even if it is the usual one. */
  public String originWithPort() {
    return "https://" + host + ":" + port;
  }

  Destination with(Map<String, ScopeSpec> newScopes) {
    return new Destination(
        name,
        kind,
        enabled,
        origin,
        host,
        port,
        credential,
        slot,
        timeout,
        maxStream,
        maxRequestBody,
        fullAudit,
        Map.copyOf(newScopes),
        rules(newScopes));
  }
}
