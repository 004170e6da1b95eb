package io.valetkey.broker;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.broker.gateway.ForwardSettings;
import io.valetkey.broker.net.Cidr;
import io.valetkey.broker.token.TokenSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.springframework.core.env.ConfigurableEnvironment;

/**
 * The settings of this broker, checked. Secrets are not among them: who needs one reads it where it
 * is used.
 *
 * @param names the names under which this installation is known
 * @param roles what this process does: {@code issuer}, {@code gateway} or both
 * @param gateway how the gateway listens and connects
 * @param policyStaleness the oldest policy that still decides
 * @param stopStaleness S, the oldest view of stops that still decides
 * @param poll how often changes are looked for when no notification comes
 * @param auditDeadline how long a request waits at most for its audit record
 * @param tokensPerMinute how many tokens one agent may ask one replica for
 * @param crypto which provider signs and verifies: {@code auto}, {@code accp} or {@code jdk}
 * @param algorithm what access tokens are signed with
 * @param fileSource the directory of the {@code file} source, if there is one
 * @param leave how long a process that is asked to end still serves, after it has said so
 * @param mtls where client certificates are asked for; null if nowhere
 * @param introspection which agents may introspect tokens for which destinations
 */
record BrokerSettings(
    TokenSettings names,
    Set<String> roles,
    Gateway gateway,
    Duration policyStaleness,
    Duration stopStaleness,
    Duration poll,
    Duration auditDeadline,
    int tokensPerMinute,
    String crypto,
    JWSAlgorithm algorithm,
    @Nullable Path fileSource,
    Duration leave,
    @Nullable Mtls mtls,
    Map<String, List<String>> introspection) {

  /** The role that issues tokens and answers the admin API. */
  static final String ISSUER = "issuer";

  /** The role that carries requests out. */
  static final String GATEWAY = "gateway";

  /** The role that brings the schema up to date and ends. It has no other beside it. */
  static final String MIGRATE = "migrate";

  private static final Duration SECOND = Duration.ofSeconds(1);

  /**
   * How the gateway listens and connects.
   *
   * @param address the local address it listens on
   * @param port the port; 0 for any free one
   * @param hostSuffix below which each destination is a host of its own; null for none
   * @param privateOrigins ranges that destinations may resolve to although they are not public
   * @param trustedCertificates PEM file of additional CAs for upstreams, if there is one
   * @param drain how long open exchanges may go on when the gateway stops
   * @param sslBundle the name of Spring's bundle with its own certificate; null for plain HTTP
   * @param clientCertificates whether callers are asked for theirs
   * @param forward how the forward proxy listens; null if there is none
   * @param interception the authority of the forward proxy
   * @param upstreamProxy the proxy behind which destinations are; null if there is none
   */
  record Gateway(
      String address,
      int port,
      @Nullable String hostSuffix,
      List<Cidr> privateOrigins,
      @Nullable Path trustedCertificates,
      Duration drain,
      @Nullable String sslBundle,
      boolean clientCertificates,
      @Nullable ForwardSettings forward,
      InterceptionSettings interception,
      @Nullable UpstreamProxySettings upstreamProxy) {}

  /**
   * A port of the issuer that asks for client certificates.
   *
   * @param address the local address it listens on; all if null
   * @param port the port; 0 for any free one
   * @param url the external URL of the port
   * @param sslBundle the name of Spring's bundle with its own certificate
   */
  record Mtls(@Nullable String address, int port, String url, String sslBundle) {}

  /** What becomes of the settings that other parts read for themselves. */
  interface OtherSettings {
    void read(SettingsReader reader);
  }

  /**
   * Reads and checks all settings.
   *
   * @throws InvalidSettingsException naming everything that is wrong, and every unknown setting
   */
  static BrokerSettings read(ConfigurableEnvironment environment, OtherSettings others) {
    var reader = new SettingsReader(environment);
    reader.requireDatabase();
    BrokerSettings settings = read(reader);
    others.read(reader);
    reader.refuseUnknown();
    if (!reader.problems().isEmpty()) {
      throw new InvalidSettingsException(reader.problems());
    }
    return settings;
  }

  private static BrokerSettings read(SettingsReader reader) {
    Duration stopStaleness =
        reader.duration("stop.staleness", SECOND.multipliedBy(10), SECOND, SECOND.multipliedBy(60));
    Duration poll =
        reader.duration(
            "feed.poll", Duration.ofMillis(500), Duration.ofMillis(50), SECOND.multipliedBy(5));
    if (poll.multipliedBy(2).compareTo(stopStaleness) > 0) {
      reader.problem("feed.poll", "must be at most half of valetkey.stop.staleness");
    }
    var names =
        new TokenSettings(
            reader.externalUrl("public-url"), reader.externalUrl("gateway.public-url"));
    return new BrokerSettings(
        names,
        roles(reader),
        gateway(reader, names.gatewayUrl()),
        reader.duration(
            "policy.staleness", SECOND.multipliedBy(30), SECOND, SECOND.multipliedBy(300)),
        stopStaleness,
        poll,
        reader.duration(
            "audit.deadline",
            Duration.ofMillis(500),
            Duration.ofMillis(50),
            SECOND.multipliedBy(4)),
        reader.number("issuance.tokens-per-minute", 6000, 1, 10_000_000),
        crypto(reader),
        algorithm(reader),
        directory(reader, "file-source.directory"),
        reader.duration("shutdown.delay", Duration.ZERO, Duration.ZERO, SECOND.multipliedBy(300)),
        mtls(reader),
        introspection(reader));
  }

  private static Set<String> roles(SettingsReader reader) {
    List<String> named = reader.list("roles");
    Set<String> roles = new TreeSet<>(named.isEmpty() ? List.of(ISSUER, GATEWAY) : named);
    if (!Set.of(ISSUER, GATEWAY).containsAll(roles)) {
      reader.problem("roles", "must be issuer, gateway or both, or migrate alone");
    }
    return roles;
  }

  private static @Nullable String hostSuffix(SettingsReader reader, String publicUrl) {
    String suffix = reader.text("gateway.host-suffix");
    if (suffix == null) {
      return null;
    }
    if (!InterceptionSettings.isDomain(suffix)) {
      reader.problem("gateway.host-suffix", "must be a domain name in lower case");
    } else if (host(publicUrl).endsWith("." + suffix)) {
      // Requests to it would be for a destination of that name.
      reader.problem(
          "gateway.host-suffix", "must not be a part of the host of valetkey.gateway.public-url");
    }
    return suffix;
  }

  /** The host of what is a URL, or is refused as none elsewhere. */
  private static String host(String url) {
    return url.replaceFirst("^[a-z]+://", "").replaceFirst("[:/].*", "").toLowerCase(Locale.ROOT);
  }

  private static Gateway gateway(SettingsReader reader, String publicUrl) {
    List<Cidr> ranges = new ArrayList<>();
    for (String range : reader.list("gateway.private-origins")) {
      try {
        ranges.add(Cidr.parse(range));
      } catch (IllegalArgumentException e) {
        reader.problem("gateway.private-origins", String.valueOf(e.getMessage()));
      }
    }
    return new Gateway(
        reader.text("gateway.address", "0.0.0.0"),
        reader.port("gateway.port", 8090),
        hostSuffix(reader, publicUrl),
        List.copyOf(ranges),
        reader.file("gateway.trusted-certificates"),
        reader.duration(
            "gateway.drain", SECOND.multipliedBy(25), Duration.ZERO, SECOND.multipliedBy(900)),
        reader.text("gateway.ssl-bundle"),
        clientCertificates(reader),
        forward(reader),
        InterceptionSettings.read(reader, reader.text("gateway.forward.port") != null),
        UpstreamProxySettings.read(reader));
  }

  private static boolean clientCertificates(SettingsReader reader) {
    boolean asked = reader.flag("gateway.client-certificates", false);
    if (asked && reader.text("gateway.ssl-bundle") == null) {
      reader.problem("gateway.client-certificates", "needs valetkey.gateway.ssl-bundle");
    }
    return asked;
  }

  private static @Nullable Mtls mtls(SettingsReader reader) {
    String address = reader.text("mtls.address");
    String bundle = reader.text("mtls.ssl-bundle");
    boolean named = reader.text("mtls.public-url") != null;
    if (reader.text("mtls.port") == null) {
      if (address != null || bundle != null || named) {
        reader.problem("mtls.port", "is missing; the other settings of valetkey.mtls need it");
      }
      return null;
    }
    String url = reader.externalUrl("mtls.public-url");
    if (url.startsWith("http:")) {
      reader.problem("mtls.public-url", "must be https");
    }
    if (bundle == null) {
      reader.problem("mtls.ssl-bundle", "is missing");
    }
    return new Mtls(address, reader.port("mtls.port", 0), url, bundle == null ? "" : bundle);
  }

  private static @Nullable ForwardSettings forward(SettingsReader reader) {
    boolean on = reader.text("gateway.forward.port") != null;
    boolean certificate = reader.text("gateway.ssl-bundle") != null;
    var settings =
        new ForwardSettings(
            reader.text("gateway.forward.address", "0.0.0.0"),
            reader.port("gateway.forward.port", 0),
            reader.flag("gateway.forward.tls", certificate),
            reader.flag("gateway.forward.certificate-suffices", false));
    if (!on) {
      for (String name : List.of("address", "tls", "certificate-suffices")) {
        if (reader.text("gateway.forward." + name) != null) {
          reader.problem("gateway.forward." + name, "needs valetkey.gateway.forward.port");
        }
      }
      return null;
    }
    if (settings.tls() && !certificate) {
      reader.problem("gateway.forward.tls", "needs valetkey.gateway.ssl-bundle");
    }
    boolean asked = settings.tls() && reader.flag("gateway.client-certificates", false);
    if (settings.certificateSuffices() && !asked) {
      reader.problem(
          "gateway.forward.certificate-suffices",
          "needs valetkey.gateway.forward.tls and valetkey.gateway.client-certificates");
    }
    return settings;
  }

  private static String crypto(SettingsReader reader) {
    String choice = reader.text("crypto.provider", "auto");
    if (!Set.of("auto", "accp", "jdk").contains(choice)) {
      reader.problem("crypto.provider", "must be auto, accp or jdk");
    }
    return choice;
  }

  private static JWSAlgorithm algorithm(SettingsReader reader) {
    String name = reader.text("token.algorithm", "ES256");
    if (!Set.of("ES256", "EdDSA").contains(name)) {
      reader.problem("token.algorithm", "must be ES256 or EdDSA");
    }
    return JWSAlgorithm.parse(name);
  }

  private static @Nullable Path directory(SettingsReader reader, String name) {
    String value = reader.text(name);
    if (value != null && !Files.isDirectory(Path.of(value))) {
      reader.problem(name, "is not a directory that can be read");
    }
    return value == null ? null : Path.of(value);
  }

  /** {@code agent=destination+destination, …}. */
  private static Map<String, List<String>> introspection(SettingsReader reader) {
    Map<String, List<String>> servers = new LinkedHashMap<>();
    for (String entry : reader.list("introspection.resource-servers")) {
      String[] parts = entry.split("=", -1);
      if (parts.length != 2 || parts[0].isBlank() || parts[1].isBlank()) {
        reader.problem(
            "introspection.resource-servers", "must be agent=destination+destination, …");
      } else {
        servers.put(parts[0].strip(), List.of(parts[1].strip().split("\\+")));
      }
    }
    return servers;
  }

  boolean has(String role) {
    return roles.contains(role);
  }
}
