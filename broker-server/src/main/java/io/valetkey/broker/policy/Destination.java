package io.valetkey.broker.policy;

import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A destination with its scopes, as the decision and the gateway use it.
 *
 * @param name its name
 * @param kind what it is
 * @param enabled whether it can be reached
 * @param origin the upstream as the policy writes it
 * @param host the upstream's host, as DNS and its certificate know it
 * @param port the upstream's port
 * @param credential where the real credential comes from
 * @param certificate the certificate that the gateway shows; null if it shows none
 * @param injection where the credential goes
 * @param timeout how long the upstream may take to begin its answer
 * @param maxStream how long one exchange may last
 * @param maxRequestBody the largest request body, in bytes
 * @param http2 whether the upstream may be spoken to by HTTP/2
 * @param fullAudit whether every allowed request is a record of its own
 * @param rewriteBodies whether its origin is replaced by its address at the gateway in answers'
 *     texts
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
    DestinationSpec.Credential.@Nullable Certificate certificate,
    Injection injection,
    Duration timeout,
    Duration maxStream,
    long maxRequestBody,
    boolean http2,
    boolean fullAudit,
    boolean rewriteBodies,
    Map<String, ScopeSpec> scopes,
    ScopeRules rules) {

  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final Duration MAX_STREAM = Duration.ofMinutes(15);
  private static final long MAX_REQUEST_BODY = 10L << 20;
  private static final int HTTPS = 443;

  /**
   * How the credential gets into a request.
   *
   * @param slots where it goes, at least one unless the request is signed or there is none
   * @param headers the names of all these headers, lower case: nobody else may fill or read them
   * @param replaced the lower-case names of all headers that the destination does not get as they
   *     came
   * @param signing how the request is signed instead; then there are no slots
   */
  public record Injection(
      List<Slot> slots, Set<String> headers, Set<String> replaced, @Nullable Signing signing) {

    /** The injection into these slots. */
    public static Injection into(List<Slot> slots) {
      Set<String> headers =
          slots.stream()
              .map(slot -> slot.header().toLowerCase(Locale.ROOT))
              .collect(Collectors.toUnmodifiableSet());
      return new Injection(List.copyOf(slots), headers, headers, null);
    }

    /** The signing of requests. */
    public static Injection by(Signing signing) {
      return new Injection(List.of(), Set.of(), signing.replaced(), signing);
    }

    static Injection compile(DestinationSpec spec) {
      if (spec.credential() instanceof DestinationSpec.Credential.None) {
        return into(List.of());
      }
      if (spec.signing() != null) {
        return by(spec.signing());
      }
      return into(
          spec.slots() == null
              ? List.of(Slot.compile(spec.slot()))
              : spec.slots().stream().map(Slot::compile).toList());
    }
  }

  /**
   * One header that carries the credential or a field of it.
   *
   * @param header the header's name
   * @param prefix what stands before the credential
   * @param suffix what stands after it
   * @param basicUser the user name of HTTP Basic, or null
   * @param field the field of the credential that goes there; null where it is one text
   */
  public record Slot(
      String header,
      String prefix,
      String suffix,
      @Nullable String basicUser,
      @Nullable String field) {

    private static final String PLACE = "{credential}";

    static Slot compile(DestinationSpec.@Nullable Slot spec) {
      String field = spec == null ? null : spec.field();
      String header = spec == null || spec.header() == null ? "Authorization" : spec.header();
      DestinationSpec.Slot.Basic basic = spec == null ? null : spec.basic();
      if (basic != null) {
        return new Slot(header, "", "", basic.username(), field);
      }
      String format = spec == null || spec.format() == null ? "Bearer " + PLACE : spec.format();
      int place = format.indexOf(PLACE);
      return new Slot(
          header,
          format.substring(0, place),
          format.substring(place + PLACE.length()),
          null,
          field);
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
        port(origin),
        fields(spec, credential(spec)),
        certificate(name, spec),
        Injection.compile(spec),
        timeout == null ? TIMEOUT : timeout,
        maxStream == null ? MAX_STREAM : maxStream,
        maxBody == null ? MAX_REQUEST_BODY : maxBody.bytes(),
        Boolean.TRUE.equals(spec.http2()),
        spec.audit() == DestinationSpec.AuditDetail.FULL,
        Boolean.TRUE.equals(spec.rewriteBodies()),
        Map.copyOf(scopes),
        rules(scopes, Injection.compile(spec), Boolean.TRUE.equals(spec.rawPath())));
  }

  /** The port of an origin, the usual one if it names none. */
  static int port(URI origin) {
    return origin.getPort() < 0 ? HTTPS : origin.getPort();
  }

  private static DestinationSpec.Credential fields(
      DestinationSpec spec, DestinationSpec.Credential credential) {
    if (credential instanceof DestinationSpec.Credential.AwsWebIdentity) {
      return credential;
    }
    Signing signing = spec.signing();
    if (signing != null) {
      return new DestinationSpec.Credential.Fields(
          credential, signing.fields(), signing.optionalFields());
    }
    List<String> named = fieldNames(spec);
    return named.isEmpty()
        ? credential
        : new DestinationSpec.Credential.Fields(credential, named, List.of());
  }

  /** The fields that the slots name, each once and in one order; empty where none does. */
  private static List<String> fieldNames(DestinationSpec spec) {
    return slots(spec).stream()
        .map(DestinationSpec.Slot::field)
        .filter(Objects::nonNull)
        .distinct()
        .sorted()
        .toList();
  }

  /** Whether the credential is several fields of one secret. */
  static boolean hasFields(DestinationSpec spec) {
    return spec.signing() != null || !fieldNames(spec).isEmpty();
  }

  private static List<DestinationSpec.Slot> slots(DestinationSpec spec) {
    if (spec.slots() != null) {
      return spec.slots();
    }
    return spec.slot() == null ? List.of() : List.of(spec.slot());
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

  private static DestinationSpec.Credential.@Nullable Certificate certificate(
      String name, DestinationSpec spec) {
    return spec.clientCertificate() == null
        ? null
        : new DestinationSpec.Credential.Certificate(name, spec.clientCertificate());
  }

  /** Whether something is put into its requests. */
  public boolean hasCredential() {
    return !(credential instanceof DestinationSpec.Credential.None);
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

  private static ScopeRules rules(
      Map<String, ScopeSpec> scopes, Injection injection, boolean rawPath) {
    Map<String, List<ScopeSpec.Rule>> rules = new TreeMap<>();
    Map<String, ApprovalTerms> approvals = new HashMap<>();
    scopes.forEach((scope, spec) -> {
      rules.put(scope, spec.allow());
      if (spec.approval() != null) {
        approvals.put(scope, ApprovalTerms.compile(spec.approval()));
      }
    });
    return new ScopeRules(rules, injection.replaced(), approvals, rawPath);
  }

  /**
   * The credential for the requests of an agent: the destination's, or a session of its own where
   * there is one for each.
   *
   * @param agent the agent's name; empty for a request that is nobody's
   */
  public DestinationSpec.Credential credentialOf(String agent) {
    return credential instanceof DestinationSpec.Credential.AwsWebIdentity role
        ? role.sessionOf(agent)
        : credential;
  }

  /** Where the upstream is, with the port even if it is the usual one. */
  public String originWithPort() {
    return "https://" + host + ":" + port;
  }

  /** The same for a request that may have no larger body than this, in bytes. */
  public Destination limitedTo(long maxBody) {
    return maxBody >= maxRequestBody ? this : with(maxBody, scopes, rules);
  }

  Destination with(Map<String, ScopeSpec> newScopes) {
    return with(
        maxRequestBody, Map.copyOf(newScopes), rules(newScopes, injection, rules.readsRawPaths()));
  }

  private Destination with(long maxBody, Map<String, ScopeSpec> itsScopes, ScopeRules itsRules) {
    return new Destination(
        name,
        kind,
        enabled,
        origin,
        host,
        port,
        credential,
        certificate,
        injection,
        timeout,
        maxStream,
        maxBody,
        http2,
        fullAudit,
        rewriteBodies,
        itsScopes,
        itsRules);
  }
}
