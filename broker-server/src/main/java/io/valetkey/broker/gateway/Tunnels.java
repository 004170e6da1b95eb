package io.valetkey.broker.gateway;

import io.netty.handler.ssl.SslContext;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import java.net.InetAddress;
import java.time.Clock;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Decides whether a CONNECT is answered with a tunnel, and with which. One to a brokered
 * destination ends here: guard, token, origin, policy, and only then a certificate; nothing is
 * asked of a name service and nothing is sent upstream, because each request in it is decided for
 * itself. One to a destination that is a tunnel goes all the way: the policy decides about the
 * whole of it, that is on record, and then the name is looked up.
 */
final class Tunnels {

  /** How often a decision is made again because a stop came between it and its record. */
  private static final int TRIES = 3;

  /** A tunnel that may be opened. */
  sealed interface Opened {

    /** What the server name in it must be. */
    Authority authority();
  }

  /** One whose TLS ends here. Not a record: the token is in it. */
  static final class Interception implements Opened {
    private final ConnectHead head;
    private final @Nullable String token;
    private final SslContext tls;

    Interception(ConnectHead head, @Nullable String token, SslContext tls) {
      this.head = head;
      this.token = token;
      this.tls = tls;
    }

    @Override
    public Authority authority() {
      return head.authority();
    }

    /** What is shown to the program as its destination. */
    SslContext tls() {
      return tls;
    }

    /** How requests in it come in. */
    Entrance entrance() {
      return new Entrance.Intercepted(head.authority(), token);
    }
  }

  /**
   * One whose bytes nobody reads.
   *
   * @param authority what the server name in it must be
   * @param target where it leads
   * @param addresses checked addresses; at least one
   */
  record Passage(Authority authority, Destination target, List<InetAddress> addresses)
      implements Opened {}

  /** A CONNECT whose caller is known. */
  private record Arrival(
      ConnectHead head, @Nullable String token, Caller caller, Exchange exchange) {
    String origin() {
      return head.authority().httpsOrigin();
    }
  }

  private final Permissions permissions;
  private final Entrance outside;
  private final LiveExchanges live;
  private final InterceptionCertificates certificates;
  private final Egress egress;
  private final Clock clock;

  Tunnels(
      Permissions permissions,
      Entrance outside,
      LiveExchanges live,
      InterceptionCertificates certificates,
      Egress egress,
      Clock clock) {
    this.permissions = permissions;
    this.outside = outside;
    this.live = live;
    this.certificates = certificates;
    this.egress = egress;
    this.clock = clock;
  }

  /**
   * Takes a CONNECT through all steps.
   *
   * @param peer who opened the connection
   * @param text the whole head, every byte as one character
   * @return fails with a {@link RefusedException} at the first step that refuses
   */
  CompletableFuture<Opened> open(PeerCertificate peer, String text, Exchange exchange) {
    Trace trace = exchange.trace();
    try {
      ConnectHead head = trace.step("guard", () -> ConnectHead.parse(text));
      exchange.entry().detail("method", "CONNECT");
      exchange.entry().detail("origin", head.authority().httpsOrigin());
      String token = trace.step("read_token", () -> outside.token(head.fields()));
      return peer.caller(token, permissions, head.authority().httpsOrigin(), trace)
          .thenCompose(caller -> proven(peer, new Arrival(head, token, caller, exchange)));
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private CompletableFuture<Opened> proven(PeerCertificate peer, Arrival arrival) {
    Caller caller = arrival.caller();
    Exchange exchange = arrival.exchange();
    exchange.entry().caller(caller);
    exchange.live(live.add(caller, clock.instant(), exchange::end));
    var possession =
        new Permissions.Possession(
            false, arrival.head().fields().all("dpop"), "CONNECT", "/", peer::thumbprint);
    return exchange
        .trace()
        .later("verify_proof", () -> permissions.prove(arrival.token(), caller, possession))
        .thenCompose(proven -> decided(arrival));
  }

  private CompletableFuture<Opened> decided(Arrival arrival) {
    Manner manner = permissions.atOrigin(arrival.caller().destination(), arrival.origin());
    if (manner != null) {
      arrival.exchange().entry().destination(arrival.caller().destination());
    }
    return manner == Manner.TUNNELLED ? passage(arrival) : interception(arrival, manner);
  }

  /** An origin that is not the token's is one that does not exist: its name is no destination's. */
  private CompletableFuture<Opened> interception(Arrival arrival, @Nullable Manner manner) {
    Trace trace = arrival.exchange().trace();
    Caller caller = arrival.caller();
    String name = manner == null ? arrival.origin() : caller.destination();
    Destination target =
        trace.step("authorise", () -> permissions.authoriseInterception(caller, name));
    requireSameOrigin(arrival, target);
    return trace
        .later("certificate", () -> certificates.of(arrival.head().authority().host()))
        .thenApply(tls -> new Interception(arrival.head(), arrival.token(), tls));
  }

  private CompletableFuture<Opened> passage(Arrival arrival) {
    arrival.exchange().way(Way.TUNNEL);
    return permitted(arrival, TRIES)
        .thenCompose(target ->
            arrival
                .exchange()
                .trace()
                .later("resolve", () -> egress.resolve(target))
                .thenApply(
                    addresses -> new Passage(arrival.head().authority(), target, addresses)));
  }

  /** Nothing that goes on in the tunnel is on record, so its beginning is, each time. */
  private CompletableFuture<Destination> permitted(Arrival arrival, int tries) {
    Exchange exchange = arrival.exchange();
    Caller caller = arrival.caller();
    Permissions.Permit permit =
        exchange
            .trace()
            .step("authorise", () -> permissions.authoriseTunnel(caller, caller.destination()));
    exchange.metered(permit.meter());
    requireSameOrigin(arrival, permit.target());
    live.used(caller);
    exchange.entry().detail("rule", permit.rule());
    return exchange
        .trace()
        .later("record", () -> exchange.entry().granted(permit.epoch()))
        .thenCompose(durable -> {
          if (durable) {
            exchange.recorded();
            return CompletableFuture.completedFuture(permit.target());
          }
          if (tries <= 1) {
            throw new RefusedException(
                ProblemCode.AUDIT_UNAVAILABLE, "stops kept changing while it was decided");
          }
          return permitted(arrival, tries - 1);
        });
  }

  /** The policy may have changed since the origin was looked up. */
  private static void requireSameOrigin(Arrival arrival, Destination target) {
    if (!target.originWithPort().equals(arrival.origin())) {
      throw new RefusedException(ProblemCode.DESTINATION_UNKNOWN, "the origin was changed");
    }
  }
}
