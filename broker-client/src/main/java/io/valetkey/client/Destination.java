package io.valetkey.client;

import java.net.URI;
import java.net.http.HttpClient;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One upstream as this workload sees it: an address at the gateway and a token that is kept fresh.
 * Safe for any number of threads; the same name and scopes always give the same object.
 */
public final class Destination {
  private final Valetkey valetkey;
  private final String name;
  private final List<String> scopes;
  private final @Nullable URI base;
  private final FreshCache<AccessToken> tokens;
  private final LeaseCalls leases;
  private final Supplier<CurrentLease> current;
  private final HttpClient http;

  Destination(
      Valetkey valetkey,
      String name,
      List<String> scopes,
      @Nullable URI gateway,
      FreshCache<AccessToken> tokens,
      LeaseCalls leases,
      Supplier<CurrentLease> current,
      HttpClient plain) {
    this.valetkey = valetkey;
    this.name = name;
    this.scopes = scopes;
    this.base = gateway == null ? null : URI.create(gateway + "/d/" + name);
    this.tokens = tokens;
    this.leases = leases;
    this.current = current;
    this.http = new DestinationHttpClient(this, tokens, plain);
  }

  /** The name that the platform team gave it. */
  public String name() {
    return name;
  }

  /**
   * The same destination with a token for these scopes only, which are asked for by name (RFC 8693
   * §2.1). Narrower is safer: a token cannot do what it does not name.
   *
   * @throws IllegalArgumentException if none is given, or one cannot be a name
   */
  public Destination withScopes(String... names) {
    List<String> wanted =
        Stream.of(names).map(s -> Valetkey.checkedName("scope", s)).distinct().sorted().toList();
    if (wanted.isEmpty()) {
      throw new IllegalArgumentException("withScopes() needs at least one scope");
    }
    return valetkey.destination(name, wanted);
  }

  /**
   * The address at the gateway of a path of the upstream; {@code url("")} is what an SDK takes as
   * its base URL.
   *
   * @param path empty, or a slash and the percent-encoded rest, with a query if need be; in the
   *     canonical form that the gateway demands (no dot segments, no {@code //}, no encoded slash)
   * @throws IllegalArgumentException if it is anything else
   * @throws ConfigurationException if no gateway URL was configured
   */
  public URI url(String path) {
    URI url = URI.create(base() + path);
    if (!(path.isEmpty() || path.startsWith("/") || path.startsWith("?")) || !covers(url)) {
      throw new IllegalArgumentException("Not a canonical path of destination " + name);
    }
    return url;
  }

  /**
   * An access token that has not ended, from memory in nearly every call. Waits for the broker only
   * when there is no token, or the one there is has little life left.
   *
   * @throws RefusedException if the broker refuses: stop
   * @throws UnavailableException if there is neither a token nor an answer: try again later
   */
  public AccessToken token() {
    return tokens.current();
  }

  /**
   * As {@link #token()}, without waiting.
   *
   * @return a future that fails with a {@link RefusedException} or an {@link UnavailableException}
   */
  public CompletableFuture<AccessToken> tokenAsync() {
    return tokens.currentAsync();
  }

  /**
   * A new credential of this workload's own, for destinations that lease one: a database login, a
   * ServiceAccount token, AWS keys. Close it when it is no longer needed. A destination with
   * several scopes needs {@link #withScopes} with exactly one: a lease has one scope.
   *
   * @throws RefusedException if the broker refuses: stop
   * @throws UnavailableException if nobody answered: try again later. A lease whose answer was lost
   *     is taken back by the next call
   */
  public Lease lease() {
    return LeaseCalls.await(leases.obtain());
  }

  /**
   * A holder that always has a current lease, renewed or replaced in time. Sends nothing yet; close
   * it when the program ends. Each call makes another one.
   */
  public CurrentLease currentLease() {
    return current.get();
  }

  /**
   * A client that puts the token into the {@code Authorization} header of requests to this
   * destination at the gateway, in place of any that was there, and into no others: other
   * addresses, and redirects, which it does not follow, get none. When the gateway itself answers
   * 401 {@code invalid_token} (RFC 6750 §3.1) it gets a new token and sends the request once more,
   * provided that its body is empty, a string or a byte array. {@code send} throws, and the future
   * of {@code sendAsync} fails with, the {@link ValetkeyException} of a token that cannot be had.
   * WebSockets are not supported: put {@link #token()} into their header.
   *
   * @throws ConfigurationException if no gateway URL was configured
   */
  public HttpClient httpClient() {
    base();
    return http;
  }

  private URI base() {
    if (base == null) {
      throw new ConfigurationException(
          List.of(
              "The gateway's URL is missing: set VALETKEY_GATEWAY_URL, or call"
                  + " Builder.gatewayUrl(…), e.g. https://gateway.example.com"));
    }
    return base;
  }

  /** Whether a request to this address may carry the token. */
  boolean covers(URI url) {
    URI own = base();
    return sameOrigin(own, url)
        && url.getRawUserInfo() == null
        && (url.getRawPath().equals(own.getRawPath())
            || url.getRawPath().startsWith(own.getRawPath() + "/"))
        && CanonicalPath.is(url.getRawPath());
  }

  private static boolean sameOrigin(URI one, URI other) {
    return other.getScheme() != null
        && other.getHost() != null
        && one.getScheme().equalsIgnoreCase(other.getScheme())
        && one.getHost().equalsIgnoreCase(other.getHost())
        && port(one) == port(other);
  }

  private static int port(URI url) {
    if (url.getPort() >= 0) {
      return url.getPort();
    }
    return url.getScheme().toLowerCase(Locale.ROOT).equals("https") ? 443 : 80;
  }

  @Override
  public String toString() {
    return "Destination[name=" + name + ", scopes=" + scopes + ", url=" + base + "]";
  }
}
