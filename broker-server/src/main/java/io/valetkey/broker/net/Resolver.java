package io.valetkey.broker.net;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.TimeUnit;

/**
 * Turns a name into addresses that were checked. The caller connects to one of them and to nothing
 * else, so an answer that changes afterwards changes nothing.
 *
 * <p>Every answer is checked and a single bad one refuses the name: a name that mixes public and
 * private addresses is an attack or a mistake. Address literals are checked the same way. Good
 * answers are kept for the time given (the JDK does not tell the record's own), failures are not;
 * one look-up at a time runs for a name, on a virtual thread.
 */
public final class Resolver {

  /** Asks the name service. */
  public interface Lookup {

    /**
     * All addresses of a name; may block.
     *
     * @throws UnknownHostException if there is none
     */
    InetAddress[] all(String host) throws UnknownHostException;
  }

  private record Endpoint(String host, int port) {}

  private record Entry(CompletableFuture<List<InetAddress>> answer, Instant goodUntil) {}

  private final AddressRules rules;
  private final Lookup lookup;
  private final Duration keep;
  private final Duration timeout;
  private final Clock clock;
  private final ConcurrentMap<Endpoint, Entry> entries = new ConcurrentHashMap<>();

  /**
   * Makes a resolver.
   *
   * @param keep how long a good answer is used
   * @param timeout how long one look-up may take
   */
  public Resolver(AddressRules rules, Lookup lookup, Duration keep, Duration timeout, Clock clock) {
    this.rules = rules;
    this.lookup = lookup;
    this.keep = keep;
    this.timeout = timeout;
    this.clock = clock;
  }

  /**
   * Resolves and checks.
   *
   * @param host a name or an address literal, IPv6 without brackets
   * @param port the port to be connected to
   * @return at least one address; fails with {@link AddressRefusedException}, {@link
   *     UnknownHostException} or {@link java.util.concurrent.TimeoutException}
   */
  @SuppressWarnings("ReferenceEquality") // whose future is in the map decides who looks the name up
  public CompletableFuture<List<InetAddress>> resolve(String host, int port) {
    Endpoint endpoint = new Endpoint(host, port);
    Instant now = clock.instant();
    Entry known = entries.get(endpoint);
    if (known != null && isUsable(known, now)) {
      return known.answer();
    }
    Entry fresh = new Entry(new CompletableFuture<>(), now.plus(keep));
    CompletableFuture<List<InetAddress>> answer =
        entries
            .merge(endpoint, fresh, (old, candidate) -> isUsable(old, now) ? old : candidate)
            .answer();
    if (answer == fresh.answer()) {
      answer.orTimeout(timeout.toMillis(), TimeUnit.MILLISECONDS);
      Thread.ofVirtual().name("resolve-" + host).start(() -> look(endpoint, answer));
    }
    return answer;
  }

  private static boolean isUsable(Entry entry, Instant now) {
    return !entry.answer().isCompletedExceptionally() && now.isBefore(entry.goodUntil());
  }

  private void look(Endpoint endpoint, CompletableFuture<List<InetAddress>> answer) {
    try {
      answer.complete(checked(endpoint, lookup.all(endpoint.host())));
    } catch (UnknownHostException | AddressRefusedException | RuntimeException e) {
      answer.completeExceptionally(e);
    }
  }

  private List<InetAddress> checked(Endpoint endpoint, InetAddress[] addresses)
      throws UnknownHostException, AddressRefusedException {
    if (addresses.length == 0) {
      throw new UnknownHostException(endpoint.host());
    }
    for (InetAddress address : addresses) {
      AddressRules.Verdict verdict = rules.check(address, endpoint.port());
      if (verdict != AddressRules.Verdict.ALLOWED) {
        throw new AddressRefusedException(
            endpoint.host() + " resolves to an address that is not allowed (" + verdict + ")");
      }
    }
    return List.of(addresses);
  }
}
