package io.valetkey.broker.gateway;

import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import java.net.InetAddress;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
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
    private final byte @Nullable [] held;
    private final Clock clock;

    Admitted(
        Guard.Accepted accepted,
        @Nullable WebSocketHandshake webSocket,
        Caller caller,
        Destination target,
        List<InetAddress> addresses,
        Credentials.Credential credential,
        byte @Nullable [] held,
        Clock clock) {
      this.accepted = accepted;
      this.webSocket = webSocket;
      this.caller = caller;
      this.target = target;
      this.addresses = addresses;
      this.credential = credential;
      this.held = held;
      this.clock = clock;
    }

    /** The same with the credential that its source gave after the first one was rejected. */
    Admitted with(Credentials.Credential fresh) {
      return new Admitted(accepted, webSocket, caller, target, addresses, fresh, held, clock);
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

    /** The whole body, if the permission depended on it; else null. */
    byte @Nullable [] held() {
      return held;
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

  /** Reads the body of a request, once. */
  @FunctionalInterface
  interface BodySource {

    /**
     * Reads it.
     *
     * @param most how many bytes it may have
     * @param longest how long the whole exchange may last
     * @return fails with a {@link RefusedException} if it is larger or breaks off
     */
    CompletableFuture<byte[]> read(long most, Duration longest);
  }

  /** A request whose caller is known. */
  private record Arrival(
      Guard.Accepted accepted, String method, Caller caller, Exchange exchange, BodySource body) {}

  /** What was allowed, and all that was known for it. */
  private record Permitted(Permissions.Permit permit, RequestFacts facts) {}

  /** How often a decision is made again because a stop came between it and its record. */
  private static final int TRIES = 3;

  private final Permissions permissions;
  private final Uses uses;
  private final Egress egress;
  private final Credentials credentials;
  private final LiveExchanges live;
  private final GatewaySettings settings;
  private final Clock clock;

  Admission(
      Permissions permissions,
      Uses uses,
      Egress egress,
      Credentials credentials,
      LiveExchanges live,
      GatewaySettings settings,
      Clock clock) {
    this.permissions = permissions;
    this.uses = uses;
    this.egress = egress;
    this.credentials = credentials;
    this.live = live;
    this.settings = settings;
    this.clock = clock;
  }

  /**
   * Takes the request through all steps.
   *
   * @param entrance the way by which it came in
   * @param peer who opened the connection
   * @param body reads the body, should the permission depend on it
   * @return fails with a {@link RefusedException} at the first step that refuses
   */
  CompletableFuture<Admitted> admit(
      Entrance entrance,
      PeerCertificate peer,
      Guard.Head head,
      Exchange exchange,
      BodySource body) {
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
              settings.address(accepted.way(), accepted.destination()) + accepted.path().raw(),
              peer::thumbprint);
      return trace
          .later("verify_proof", () -> permissions.prove(token, caller, possession))
          .thenCompose(proven ->
              permitted(new Arrival(accepted, method, caller, exchange, body), accepted, TRIES))
          .thenCompose(permitted -> equip(accepted, webSocket, caller, permitted, trace));
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static void noteTarget(Guard.Accepted accepted, Exchange exchange) {
    if (accepted.way().namesDestination()) {
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
    if (accepted.way().namesDestination()
        || permissions.atOrigin(caller.destination(), accepted.destination()) == null) {
      return accepted.destination();
    }
    exchange.entry().destination(caller.destination());
    return caller.destination();
  }

  private CompletableFuture<Permitted> permitted(Arrival arrival, RequestFacts facts, int tries) {
    Exchange exchange = arrival.exchange();
    Permissions.Answer answer =
        exchange
            .trace()
            .step(
                "authorise",
                () ->
                    permissions.authorise(
                        arrival.caller(),
                        named(arrival.accepted(), arrival.caller(), exchange),
                        arrival.method(),
                        arrival.accepted().path(),
                        facts));
    return switch (answer) {
      case Permissions.Permit permit -> recorded(arrival, new Permitted(permit, facts), tries);
      case Permissions.BodyNeeded needed -> withBody(arrival, needed, tries);
    };
  }

  /** Reads the body, and decides everything once more with it: a stop may have come meanwhile. */
  private CompletableFuture<Permitted> withBody(
      Arrival arrival, Permissions.BodyNeeded needed, int tries) {
    requireSameOrigin(arrival.accepted(), needed.target());
    checkLength(arrival.accepted(), needed.target());
    long most = Math.min(needed.mostBytes(), needed.target().maxRequestBody());
    return arrival
        .exchange()
        .trace()
        .later("hold_body", () -> arrival.body().read(most, needed.target().maxStream()))
        // What the body says is looked at where nobody else has to wait for it.
        .thenComposeAsync(
            bytes ->
                permitted(
                    arrival, new FactsWithBody(arrival.accepted(), new RequestBody(bytes)), tries),
            task -> Thread.ofVirtual().name("conditions").start(task));
  }

  private CompletableFuture<Permitted> recorded(Arrival arrival, Permitted permitted, int tries) {
    Permissions.Permit permit = permitted.permit();
    Caller caller = arrival.caller();
    Exchange exchange = arrival.exchange();
    exchange.metered(permit.meter());
    requireSameOrigin(arrival.accepted(), permit.target());
    checkLength(arrival.accepted(), permit.target());
    checkHeld(permitted.facts().sentBody(), permit.target());
    checkCopySource(arrival.accepted(), caller, permit.target());
    live.used(caller);
    boolean each = permit.target().fullAudit() || arrival.method().equals(ScopeRules.WEB_SOCKET);
    if (!each && !uses.isFirst(caller, permit)) {
      uses.count(caller, permit);
      return CompletableFuture.completedFuture(permitted);
    }
    exchange.entry().detail("rule", permit.rule());
    return exchange
        .trace()
        .later("record", () -> exchange.entry().granted(permit.epoch()))
        .thenCompose(durable -> {
          if (durable) {
            uses.recorded(caller, permit);
            exchange.recorded();
            return CompletableFuture.completedFuture(permitted);
          }
          if (tries <= 1) {
            throw new RefusedException(
                ProblemCode.AUDIT_UNAVAILABLE, "stops kept changing while it was decided");
          }
          return permitted(arrival, permitted.facts(), tries - 1);
        });
  }

  private CompletableFuture<Admitted> equip(
      Guard.Accepted accepted,
      @Nullable WebSocketHandshake webSocket,
      Caller caller,
      Permitted permitted,
      Trace trace) {
    Destination target = permitted.permit().target();
    RequestBody body = permitted.facts().sentBody();
    byte[] held = body == null ? null : body.bytes();
    return trace
        .later("resolve", () -> egress.resolve(target))
        .thenCompose(addresses ->
            trace
                .later("fetch_credential", () -> credentials.get(target.credential()))
                .thenApply(credential ->
                    new Admitted(
                        accepted, webSocket, caller, target, addresses, credential, held, clock)));
  }

  /**
   * S3 reads what a copy is made from by the same key, wherever it is: the caller has to be allowed
   * to read it by itself.
   */
  private void checkCopySource(Guard.Accepted accepted, Caller caller, Destination target) {
    if (target.injection().signing() == null) {
      return;
    }
    for (String header : accepted.fields().all("x-amz-copy-source")) {
      CopySource source = CopySource.parse(header);
      switch (permissions.authorise(caller, target.name(), "GET", source.path(), source)) {
        case Permissions.Permit permit -> permit.meter().end();
        case Permissions.BodyNeeded _ ->
            throw new RefusedException(ProblemCode.CONDITION_FAILED, "a copy's source has no body");
      }
    }
  }

  private static @Nullable WebSocketHandshake handshake(Guard.Accepted accepted) {
    WebSocketHandshake handshake = WebSocketHandshake.of(accepted);
    // To a proxy it would be a message for the proxy itself; clients of ws:// ask it for a tunnel.
    if (handshake != null && accepted.way() == Way.ABSOLUTE_FORM) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "a WebSocket opens in a tunnel, not in absolute form");
    }
    return handshake;
  }

  /** The policy may have changed since the origin was looked up. */
  private static void requireSameOrigin(Guard.Accepted accepted, Destination target) {
    if (!accepted.way().namesDestination()
        && !accepted.destination().equals(target.originWithPort())) {
      throw new RefusedException(ProblemCode.DESTINATION_UNKNOWN, "the origin was changed");
    }
  }

  /** The policy may have changed since the body was read. */
  private static void checkHeld(@Nullable RequestBody body, Destination target) {
    if (body != null && body.length() > target.maxRequestBody()) {
      throw new RefusedException(
          ProblemCode.CONTENT_TOO_LARGE, "the body is larger than the destination allows");
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
