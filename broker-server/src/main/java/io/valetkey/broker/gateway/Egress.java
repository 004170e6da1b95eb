package io.valetkey.broker.gateway;

import io.valetkey.broker.net.AddressRefusedException;
import io.valetkey.broker.net.Resolver;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import java.net.InetAddress;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * How destinations are reached: straight, at an address that was checked, or through the network's
 * own proxy. Through a proxy a name is looked up by the proxy, and what it leads to is the proxy's
 * to allow; a destination that is an address is checked here as ever.
 */
public final class Egress {

  private final Resolver resolver;
  private final @Nullable UpstreamProxy proxy;
  private final Resolver proxyResolver;

  /** Straight to every destination. */
  public Egress(Resolver resolver) {
    this(resolver, null, resolver);
  }

  /**
   * Through a proxy.
   *
   * @param resolver for destinations that are reached straight
   * @param proxyResolver for the proxy's own name
   */
  public Egress(Resolver resolver, @Nullable UpstreamProxy proxy, Resolver proxyResolver) {
    this.resolver = resolver;
    this.proxy = proxy;
    this.proxyResolver = proxyResolver;
  }

  /**
   * The addresses to connect to.
   *
   * @return at least one; fails as {@link Resolver#resolve} does
   */
  CompletableFuture<List<InetAddress>> addresses(Destination target) {
    UpstreamProxy through = proxy(target);
    if (through == null) {
      return resolver.resolve(target.host(), target.port());
    }
    CompletableFuture<List<InetAddress>> proxies =
        proxyResolver.resolve(through.host(), through.port());
    return isAddress(target.host())
        ? resolver.resolve(target.host(), target.port()).thenCompose(checked -> proxies)
        : proxies;
  }

  /**
   * The same, for a step of a request.
   *
   * @return fails with the {@link RefusedException} that says why there is none
   */
  CompletableFuture<List<InetAddress>> resolve(Destination target) {
    return addresses(target)
        .exceptionallyCompose(failure ->
            CompletableFuture.failedFuture(
                switch (Trace.cause(failure)) {
                  case AddressRefusedException e ->
                      new RefusedException(
                          ProblemCode.UPSTREAM_ADDRESS_REFUSED, String.valueOf(e.getMessage()));
                  case TimeoutException e ->
                      new RefusedException(
                          ProblemCode.UPSTREAM_TIMEOUT, "the name service was too slow");
                  default ->
                      new RefusedException(
                          ProblemCode.UPSTREAM_UNREACHABLE, "the name has no address");
                }));
  }

  /** Whether a destination's host is an address and no name. */
  static boolean isAddress(String host) {
    return host.indexOf(':') >= 0 || host.chars().allMatch(c -> c == '.' || (c >= '0' && c <= '9'));
  }

  /** The proxy in between; null if there is none for this destination. */
  @Nullable UpstreamProxy proxy(Destination target) {
    return proxy != null && proxy.covers(target.host()) ? proxy : null;
  }
}
