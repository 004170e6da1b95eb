package io.valetkey.client;

import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.DoubleSupplier;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;

/**
 * The way of a workload to its destinations. Make one for the whole program; it is safe for any
 * number of threads, has nothing to close and keeps no thread while it is idle.
 *
 * <pre>{@code
 * Destination openai = Valetkey.connect().destination("openai");
 * HttpResponse<String> answer =
 *     openai.httpClient().send(
 *         HttpRequest.newBuilder(openai.url("/v1/models")).build(), BodyHandlers.ofString());
 * }</pre>
 *
 * <p>Environment variables, each of which a call on the {@link Builder} overrules; a blank one
 * counts as absent:
 *
 * <ul>
 *   <li>{@code VALETKEY_URL}: the broker, {@code https://…} (required);
 *   <li>{@code VALETKEY_GATEWAY_URL}: the gateway, {@code https://…} (required by {@link
 *       Destination#url} and {@link Destination#httpClient}; tokens can be had without it);
 *   <li>{@code VALETKEY_TOKEN_FILE}: a file with the identity token, instead of the projected
 *       ServiceAccount token at {@code /var/run/secrets/valetkey/token};
 *   <li>{@code VALETKEY_SPIFFE_JWT_SVID_FILE}: a file with a SPIFFE JWT-SVID;
 *   <li>{@code VALETKEY_OIDC_TOKEN_FILE}: a file with an OIDC token.
 * </ul>
 *
 * <p>The identity is chosen once, here, in exactly this order: {@link Builder#identity}, {@code
 * VALETKEY_TOKEN_FILE}, the projected file if it is there, the SPIFFE file, the OIDC file. One that
 * is set and cannot be used is an error; the next is not tried in its place. The file is read anew
 * for each exchange.
 */
public final class Valetkey {
  private static final Pattern NAME = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");

  private final TokenEndpoint endpoint;
  private final URI broker;
  private final Duration timeout;
  private final @Nullable URI gateway;
  private final HttpClient http;
  private final Clock clock;
  private final DoubleSupplier jitter;
  private final ConcurrentMap<String, Destination> destinations = new ConcurrentHashMap<>();

  private Valetkey(Builder builder, URI broker, @Nullable URI gateway, IdentitySource identity) {
    this.broker = broker;
    this.gateway = gateway;
    this.timeout = builder.timeout;
    this.clock = builder.clock;
    this.jitter = builder.jitter;
    HttpClient.Builder connection =
        HttpClient.newBuilder()
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(builder.timeout);
    if (builder.sslContext != null) {
      connection.sslContext(builder.sslContext);
    }
    this.http = connection.build();
    this.endpoint =
        new TokenEndpoint(broker, http, identity, background(), builder.timeout, builder.clock);
  }

  /**
   * Connects with what the environment says. Sends nothing yet.
   *
   * @throws ConfigurationException listing everything that is missing or wrong, and how to mend it
   */
  public static Valetkey connect() {
    return builder().build();
  }

  /** Starts from the environment; each call replaces one setting of it. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * A destination by the name that the platform team gave it, with every scope that is granted.
   * Sends nothing; whether the destination exists turns out with the first token.
   *
   * @throws IllegalArgumentException if {@code name} cannot be a name: 1 to 63 lower-case letters,
   *     digits and inner hyphens
   */
  public Destination destination(String name) {
    return destination(checkedName("destination", name), List.of());
  }

  Destination destination(String name, List<String> scopes) {
    return destinations.computeIfAbsent(
        name + " " + String.join(" ", scopes), key -> newDestination(name, scopes));
  }

  private Destination newDestination(String name, List<String> scopes) {
    var tokens = new FreshCache<>(() -> endpoint.exchange(name, scopes), clock, jitter);
    var leases = new LeaseCalls(broker, http, name, scopes, tokens, timeout, clock);
    return new Destination(
        this,
        name,
        scopes,
        gateway,
        tokens,
        leases,
        () -> new CurrentLease(leases, clock, jitter),
        http);
  }

  /**
   * A new lease of a destination under its only scope: short for {@code destination(name).lease()}.
   *
   * @throws IllegalArgumentException if {@code destination} cannot be a name
   * @throws RefusedException if the broker refuses: stop
   * @throws UnavailableException if nobody answered: try again later
   */
  public Lease lease(String destination) {
    return destination(destination).lease();
  }

  static String checkedName(String what, String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException("Not a name of a " + what + ": " + name);
    }
    return name;
  }

  @Override
  public String toString() {
    return "Valetkey[gateway=" + gateway + "]";
  }

  /** For reading identities ahead of exchanges; its threads end when there is nothing to do. */
  private static Executor background() {
    ThreadPoolExecutor executor =
        new ThreadPoolExecutor(
            2,
            2,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "valetkey-client");
              thread.setDaemon(true);
              return thread;
            });
    executor.allowCoreThreadTimeOut(true);
    return executor;
  }

  /** The settings of a {@link Valetkey}; everything not set here comes from the environment. */
  public static final class Builder {
    private Map<String, String> environment = System.getenv();
    private Path projectedToken = IdentityChain.PROJECTED;
    private @Nullable String brokerUrl;
    private @Nullable String gatewayUrl;
    private @Nullable IdentitySource identity;
    private @Nullable SSLContext sslContext;
    private Duration timeout = Duration.ofSeconds(10);
    private Clock clock = Clock.systemUTC();
    private DoubleSupplier jitter = () -> ThreadLocalRandom.current().nextDouble();

    private Builder() {}

    /** The broker's public URL: https, or http for a loopback address. */
    public Builder brokerUrl(String url) {
      this.brokerUrl = url;
      return this;
    }

    /** The gateway's public URL: https, or http for a loopback address. */
    public Builder gatewayUrl(String url) {
      this.gatewayUrl = url;
      return this;
    }

    /** How this workload proves who it is; nothing else is looked for then. */
    public Builder identity(IdentitySource source) {
      this.identity = source;
      return this;
    }

    /** The CAs (and client certificate) for both connections; the JDK's by default. */
    public Builder sslContext(SSLContext context) {
      this.sslContext = context;
      return this;
    }

    /**
     * How long an exchange may take in all, identity and answer included; 10 s by default.
     *
     * @throws IllegalArgumentException unless between 100 milliseconds and one minute
     */
    public Builder timeout(Duration limit) {
      if (limit.compareTo(Duration.ofMillis(100)) < 0
          || limit.compareTo(Duration.ofMinutes(1)) > 0) {
        throw new IllegalArgumentException("timeout must be between 100 ms and 1 min: " + limit);
      }
      this.timeout = limit;
      return this;
    }

    /** The time by which tokens age; the system's by default. */
    public Builder clock(Clock time) {
      this.clock = time;
      return this;
    }

    Builder surroundings(Map<String, String> variables, Path projected) {
      this.environment = variables;
      this.projectedToken = projected;
      return this;
    }

    /** Gives the place of the first threshold of each token, from 0 to 1. */
    Builder jitter(DoubleSupplier fraction) {
      this.jitter = fraction;
      return this;
    }

    /**
     * Checks the settings and chooses the identity. Sends nothing yet.
     *
     * @throws ConfigurationException listing everything that is missing or wrong
     */
    public Valetkey build() {
      List<String> problems = new ArrayList<>();
      URI broker = url("brokerUrl", brokerUrl, "VALETKEY_URL", problems);
      if (broker == null && problems.isEmpty()) {
        problems.add(
            "The broker's URL is missing: set VALETKEY_URL, or call Builder.brokerUrl(…), e.g."
                + " https://valetkey.example.com");
      }
      URI gateway = url("gatewayUrl", gatewayUrl, "VALETKEY_GATEWAY_URL", problems);
      IdentitySource source =
          new IdentityChain(environment, projectedToken).choose(identity, problems);
      if (!problems.isEmpty() || broker == null || source == null) {
        throw new ConfigurationException(problems);
      }
      return new Valetkey(this, broker, gateway, source);
    }

    private @Nullable URI url(
        String call, @Nullable String explicit, String variable, List<String> problems) {
      if (explicit != null) {
        return ServiceUrl.check("Builder." + call + "(…)", explicit, problems);
      }
      String named = environment.get(variable);
      return named == null || named.isBlank() ? null : ServiceUrl.check(variable, named, problems);
    }
  }
}
