package io.valetkey.broker.gateway;

import io.netty.handler.ssl.SslContext;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import java.time.Clock;
import java.util.concurrent.CompletableFuture;

/**
 * Decides whether a CONNECT is answered with a tunnel: guard, token, origin, policy, and only then
 * a certificate. Nothing is asked of a name service and nothing is sent upstream: each request in
 * the tunnel is decided for itself.
 */
final class Tunnels {

  /** A tunnel that may be opened. Not a record: the token is in it. */
  static final class Opened {
    private final ConnectHead head;
    private final String token;
    private final SslContext tls;

    Opened(ConnectHead head, String token, SslContext tls) {
      this.head = head;
      this.token = token;
      this.tls = tls;
    }

    Authority authority() {
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

  private final Permissions permissions;
  private final LiveExchanges live;
  private final InterceptionCertificates certificates;
  private final Clock clock;

  Tunnels(
      Permissions permissions,
      LiveExchanges live,
      InterceptionCertificates certificates,
      Clock clock) {
    this.permissions = permissions;
    this.live = live;
    this.certificates = certificates;
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
      String origin = head.authority().httpsOrigin();
      exchange.entry().detail("method", "CONNECT");
      exchange.entry().detail("origin", origin);
      String token = trace.step("read_token", () -> TokenSlots.readProxy(head.fields()));
      Caller caller = trace.step("verify_token", () -> permissions.verify(token));
      exchange.entry().caller(caller);
      exchange.live(live.add(caller, clock.instant(), exchange::end));
      var possession =
          new Permissions.Possession(
              false, head.fields().all("dpop"), "CONNECT", "/", peer::thumbprint);
      return trace
          .later("verify_proof", () -> permissions.prove(token, caller, possession))
          .thenCompose(proven -> {
            trace.step("authorise", () -> decide(caller, origin, exchange));
            return trace.later("certificate", () -> certificates.of(head.authority().host()));
          })
          .thenApply(tls -> new Opened(head, token, tls));
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private Destination decide(Caller caller, String origin, Exchange exchange) {
    String name = origin;
    if (permissions.isOrigin(caller.destination(), origin)) {
      name = caller.destination();
      exchange.entry().destination(name);
    }
    Destination target = permissions.authoriseTunnel(caller, name);
    if (!target.originWithPort().equals(origin)) {
      throw new RefusedException(ProblemCode.DESTINATION_UNKNOWN, "the origin was changed");
    }
    return target;
  }
}
