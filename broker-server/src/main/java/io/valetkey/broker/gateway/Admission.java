package io.valetkey.broker.gateway;

import io.valetkey.broker.net.AddressRefusedException;
import io.valetkey.broker.net.Resolver;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import java.net.InetAddress;
import java.time.Clock;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Everything that must be true before a byte goes upstream, in order: guard, token, policy, record,
 * address, credential. Policy comes before the name service, because a look-up is a way out too,
 * and both before the credential.
 */
final class Admission {

  /** A request that may go out. Not a record: the credential is in it. */
  static final class Admitted {
    private final Guard.Accepted accepted;
    private final @Nullable WebSocketHandshake webSocket;
    private final Caller caller;
    private final Destination target;
    private final List<InetAddress> addresses;
    private final Credentials.Credential credential;
    private final Clock clock;

    Admitted(
        Guard.Accepted accepted,
        @Nullable WebSocketHandshake webSocket,
        Caller caller,
        Destination target,
        List<InetAddress> addresses,
        Credentials.Credential credential,
        Clock clock) {
      this.accepted = accepted;
      this.webSocket = webSocket;
      this.caller = caller;
      this.target = target;
      this.addresses = addresses;
      this.credential = credential;
      this.clock = clock;
    }

    /** The same with the credential that its source gave after the first one was rejected. */
    Admitted with(Credentials.Credential fresh) {
      return new Admitted(accepted, webSocket, caller, target, addresses, fresh, clock);
    }

    Guard.Accepted accepted() {
      return accepted;
    }

    /** What it is to become, or null if it is an ordinary request. */
    @Nullable WebSocketHandshake webSocket() {
      return webSocket;
    }

    Caller caller() {
      return caller;
    }

    Destination destination() {
      return target;
    }

    /** Checked addresses; at least one. */
    List<InetAddress> addresses() {
      return addresses;
    }

    Credentials.Credential credential() {
      return credential;
    }

    /** Whether the body has to be read before the request can be built. */
    boolean needsBody() {
      Destination.Signing signing = target.injection().signing();
      return signing != null && AwsRequest.needsBody(signing, accepted.fields());
    }

    /**
     * The request as it goes upstream.
     *
     * @param held the whole body, if it {@link #needsBody}
     */
    UpstreamRequest rebuild(byte @Nullable [] held) {
      return UpstreamRequest.rebuild(accepted, target, credential, held, clock.instant());
    }
  }

  /** How often a decision is made again because a stop came between it and its record. */
  private static final int TRIES = 3;

  private final Permissions permissions;
  private final Uses uses;
  private final Resolver resolver;
  private final Credentials credentials;
  private final LiveExchanges live;
  private final Clock clock;

  Admission(
      Permissions permissions,
      Uses uses,
      Resolver resolver,
      Credentials credentials,
      LiveExchanges live,
      Clock clock) {
    this.permissions = permissions;
    this.uses = uses;
    this.resolver = resolver;
    this.credentials = credentials;
    this.live = live;
    this.clock = clock;
  }

  /**
   * Takes the request through all steps.
   *
   * @param entrance the way by which it came in
   * @param peer who opened the connection
   * @return fails with a {@link RefusedException} at the first step that refuses
   */
  CompletableFuture<Admitted> admit(
      Entrance entrance, PeerCertificate peer, Guard.Head head, Exchange exchange) {
    Trace trace = exchange.trace();
    try {
      var accepted = trace.step("guard", () -> entrance.accept(head));
      noteTarget(accepted, exchange);
      WebSocketHandshake webSocket =
          accepted.fields().has("upgrade")
              ? trace.step("handshake", () -> handshake(accepted))
              : null;
      // What rules are asked about, and what stands on record.
      String method = webSocket == null ? accepted.method() : ScopeRules.WEB_SOCKET;
      exchange.entry().detail("method", method);
      exchange.method(method);
      exchange.entry().detail("path", accepted.path().raw());
      String token = trace.step("read_token", () -> entrance.token(accepted.fields()));
      Caller caller = trace.step("verify_token", () -> permissions.verify(token));
      exchange.entry().caller(caller);
      exchange.live(live.add(caller, clock.instant(), exchange::end));
      var possession =
          new Permissions.Possession(
              entrance.announcesProof(accepted.fields()),
              accepted.fields().all("dpop"),
              accepted.method(),
              "/d/" + accepted.destination() + accepted.path().raw(),
              peer::thumbprint);
      return trace
          .later("verify_proof", () -> permissions.prove(token, caller, possession))
          .thenCompose(proven -> permitted(accepted, method, caller, exchange, TRIES))
          .thenCompose(permit -> equip(accepted, webSocket, caller, permit.target(), trace));
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static void noteTarget(Guard.Accepted accepted, Exchange exchange) {
    if (accepted.way() == Way.BASE_URL) {
      exchange.entry().destination(accepted.destination());
    } else {
      exchange.entry().detail("origin", accepted.destination());
    }
  }

  /**
   * The destination that is asked for. An origin means the token's own destination if it is exactly
   * that one's, else one that does not exist.
   */
  private String named(Guard.Accepted accepted, Caller caller, Exchange exchange) {
    if (accepted.way() == Way.BASE_URL
        || !permissions.isOrigin(caller.destination(), accepted.destination())) {
      return accepted.destination();
    }
    exchange.entry().destination(caller.destination());
    return caller.destination();
  }

  private CompletableFuture<Permissions.Permit> permitted(
      Guard.Accepted accepted, String method, Caller caller, Exchange exchange, int tries) {
    Permissions.Permit permit =
        exchange
            .trace()
            .step(
                "authorise",
                () ->
                    permissions.authorise(
                        caller, named(accepted, caller, exchange), method, accepted.path()));
    requireSameOrigin(accepted, permit.target());
    checkLength(accepted, permit.target());
    checkCopySource(accepted, caller, permit.target());
    live.used(caller);
    boolean each = permit.target().fullAudit() || method.equals(ScopeRules.WEB_SOCKET);
    if (!each && !uses.isFirst(caller, permit)) {
      uses.count(caller, permit);
      return CompletableFuture.completedFuture(permit);
    }
    exchange.entry().detail("rule", permit.rule());
    return exchange
        .trace()
        .later("record", () -> exchange.entry().granted(permit.epoch()))
        .thenCompose(durable -> {
          if (durable) {
            uses.recorded(caller, permit);
            exchange.recorded();
            return CompletableFuture.completedFuture(permit);
          }
          if (tries <= 1) {
            throw new RefusedException(
                ProblemCode.AUDIT_UNAVAILABLE, "stops kept changing while it was decided");
          }
          return permitted(accepted, method, caller, exchange, tries - 1);
        });
  }

  private CompletableFuture<Admitted> equip(
      Guard.Accepted accepted,
      @Nullable WebSocketHandshake webSocket,
      Caller caller,
      Destination target,
      Trace trace) {
    return trace
        .later("resolve", () -> resolve(target))
        .thenCompose(addresses ->
            trace
                .later("fetch_credential", () -> credentials.get(target.credential()))
                .thenApply(credential ->
                    new Admitted(
                        accepted, webSocket, caller, target, addresses, credential, clock)));
  }

  private CompletableFuture<List<InetAddress>> resolve(Destination target) {
    return resolver
        .resolve(target.host(), target.port())
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

  /**
   * S3 reads what a copy is made from by the same key, wherever it is: the caller has to be allowed
   * to read it by itself.
   */
  private void checkCopySource(Guard.Accepted accepted, Caller caller, Destination target) {
    if (target.injection().signing() == null) {
      return;
    }
    for (String source : accepted.fields().all("x-amz-copy-source")) {
      int query = source.indexOf('?');
      String key = query < 0 ? source : source.substring(0, query);
      RequestPath path = RequestPath.parse(key.startsWith("/") ? key : "/" + key);
      var _ = permissions.authorise(caller, target.name(), "GET", path);
    }
  }

  private static @Nullable WebSocketHandshake handshake(Guard.Accepted accepted) {
    WebSocketHandshake handshake = WebSocketHandshake.of(accepted);
    if (handshake != null && accepted.way() != Way.BASE_URL) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "a WebSocket opens at the address of a destination only");
    }
    return handshake;
  }

  /** The policy may have changed since the origin was looked up. */
  private static void requireSameOrigin(Guard.Accepted accepted, Destination target) {
    if (accepted.way() != Way.BASE_URL && !accepted.destination().equals(target.originWithPort())) {
      throw new RefusedException(ProblemCode.DESTINATION_UNKNOWN, "the origin was changed");
    }
  }

  private static void checkLength(Guard.Accepted accepted, Destination target) {
    String length = accepted.fields().first("content-length");
    if (length != null && Long.parseLong(length) > target.maxRequestBody()) {
      throw new RefusedException(
          ProblemCode.CONTENT_TOO_LARGE,
          "the body is announced larger than the destination allows");
    }
  }
}
