package io.valetkey.broker.gateway;

import io.valetkey.broker.access.NeededApproval;
import io.valetkey.broker.approval.ApprovalState;
import io.valetkey.broker.approval.ApprovalStore;
import io.valetkey.broker.approval.AskedRequest;
import io.valetkey.broker.approval.Standing;
import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.ApprovalTerms;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import io.valetkey.broker.upstream.ClientCertificate;
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
    private static final Duration SHORTEST_USE = Duration.ofMinutes(1);

    private final Guard.Accepted accepted;
    private final @Nullable WebSocketHandshake webSocket;
    private final Caller caller;
    private final Destination target;
    private final List<InetAddress> addresses;
    private final Credentials.Credential credential;
    private final Credentials.@Nullable Credential certificate;
    private final byte @Nullable [] held;
    private final boolean once;
    private final Clock clock;

    Admitted(
        Guard.Accepted accepted,
        @Nullable WebSocketHandshake webSocket,
        Caller caller,
        Destination target,
        List<InetAddress> addresses,
        Credentials.Credential credential,
        Credentials.@Nullable Credential certificate,
        byte @Nullable [] held,
        boolean once,
        Clock clock) {
      this.accepted = accepted;
      this.webSocket = webSocket;
      this.caller = caller;
      this.target = target;
      this.addresses = addresses;
      this.credential = credential;
      this.certificate = certificate;
      this.held = held;
      this.once = once;
      this.clock = clock;
    }

    /** The same with the credential that its source gave after the first one was rejected. */
    Admitted with(Credentials.Credential fresh) {
      return new Admitted(
          accepted, webSocket, caller, target, addresses, fresh, certificate, held, once, clock);
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

    /** Where the credential comes from. */
    DestinationSpec.Credential reference() {
      return target.credentialOf(caller.agent());
    }

    /** Checked addresses; at least one. */
    List<InetAddress> addresses() {
      return addresses;
    }

    Credentials.Credential credential() {
      return credential;
    }

    /** The certificate that is shown to the upstream; null if none is. */
    @Nullable ClientCertificate certificate() {
      return certificate == null ? null : certificate.certificate();
    }

    /** Whether asking for another certificate makes no flood of them. */
    boolean hasOldCertificate() {
      ClientCertificate shown = certificate();
      return shown != null && shown.begun().plus(SHORTEST_USE).isBefore(clock.instant());
    }

    /** The version of the certificate; 0 if there is none. */
    long certificateVersion() {
      return certificate == null ? 0 : certificate.version();
    }

    /** How long the exchange may last: no longer than the certificate of its connection. */
    Duration longest() {
      ClientCertificate shown = certificate();
      Duration longest = target.maxStream();
      if (shown == null) {
        return longest;
      }
      Duration left = Duration.between(clock.instant(), shown.end());
      return left.compareTo(longest) < 0 ? left : longest;
    }

    /** The whole body, if the permission depended on it; else null. */
    byte @Nullable [] held() {
      return held;
    }

    /** Whether it may be sent once and no second time, whatever becomes of the first. */
    boolean once() {
      return once;
    }

    /** Whether the body has to be read before the request can be built. */
    boolean needsBody() {
      return UpstreamRequest.needsBody(target, accepted.fields());
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

  /** The caller's side of a request about which nothing is decided yet. */
  interface WaitingCaller {

    /**
     * Reads the body, once.
     *
     * @param most how many bytes it may have
     * @param longest how long the whole exchange may last
     * @return fails with a {@link RefusedException} if it is larger or breaks off
     */
    CompletableFuture<byte[]> read(long most, Duration longest);

    /**
     * Waits for something.
     *
     * @param longest how long it may take
     * @return does not complete if the caller goes away or the exchange is ended before; the thing
     *     is cancelled then
     */
    CompletableFuture<Void> whileOpen(CompletableFuture<?> thing, Duration longest);
  }

  /**
   * A request whose caller is known.
   *
   * @param waited whether it was kept waiting for an approval already
   * @param approved what was approved, once that approval is used up
   */
  private record Arrival(
      Guard.Accepted accepted,
      String method,
      Caller caller,
      Exchange exchange,
      WaitingCaller side,
      boolean waited,
      @Nullable Approved approved) {

    Arrival afterWaiting() {
      return new Arrival(accepted, method, caller, exchange, side, true, approved);
    }

    Arrival approvedAs(Approved used) {
      return new Arrival(accepted, method, caller, exchange, side, true, used);
    }
  }

  /** An approval that was used up for this request, and for no other. */
  private record Approved(String scope, String requestHash) {}

  /** What is needed besides the permission. */
  private record Equipment(
      List<InetAddress> addresses,
      Credentials.Credential credential,
      Credentials.@Nullable Credential certificate) {}

  /** What was allowed, and all that was known for it. */
  private record Permitted(Permissions.Permit permit, RequestFacts facts) {}

  private static final Duration SHORT = Duration.ofSeconds(5);

  /** How often a decision is made again because a stop came between it and its record. */
  private static final int TRIES = 3;

  private final Permissions permissions;
  private final Approvals approvals;
  private final Uses uses;
  private final Egress egress;
  private final Credentials credentials;
  private final LiveExchanges live;
  private final GatewaySettings settings;
  private final Clock clock;

  Admission(
      Permissions permissions,
      Approvals approvals,
      Uses uses,
      Egress egress,
      Credentials credentials,
      LiveExchanges live,
      GatewaySettings settings,
      Clock clock) {
    this.permissions = permissions;
    this.approvals = approvals;
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
   * @param side the caller's side, should the permission depend on the body or on an approval
   * @return fails with a {@link RefusedException} at the first step that refuses
   */
  CompletableFuture<Admitted> admit(
      Entrance entrance,
      PeerCertificate peer,
      Guard.Head head,
      Exchange exchange,
      WaitingCaller side) {
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
      var possession =
          new Permissions.Possession(
              entrance.announcesProof(accepted.fields()),
              accepted.fields().all("dpop"),
              accepted.method(),
              settings.address(accepted.way(), accepted.destination()) + accepted.path().raw(),
              peer::thumbprint);
      return peer.caller(token, permissions, accepted.destination(), trace)
          .thenCompose(caller -> {
            exchange.entry().caller(caller);
            exchange.live(live.add(caller, clock.instant(), exchange::end));
            return trace
                .later("verify_proof", () -> permissions.prove(token, caller, possession))
                .thenCompose(proven ->
                    permitted(
                        new Arrival(accepted, method, caller, exchange, side, false, null),
                        accepted,
                        TRIES))
                .thenCompose(permitted -> equip(accepted, webSocket, caller, permitted, trace));
          });
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
      case Permissions.Permit permit when permit.approval() != null ->
          approved(arrival, permit, permit.approval(), facts, tries);
      case Permissions.Permit permit -> recorded(arrival, new Permitted(permit, facts), tries);
      case Permissions.BodyNeeded needed -> withBody(arrival, needed, tries);
    };
  }

  /** Goes on only with an approval of this very request, and uses that up. */
  private CompletableFuture<Permitted> approved(
      Arrival arrival,
      Permissions.Permit permit,
      NeededApproval needed,
      RequestFacts facts,
      int tries) {
    arrival.exchange().metered(permit.meter());
    requireSameOrigin(arrival.accepted(), permit.target());
    checkLength(arrival.accepted(), permit.target());
    checkHeld(facts.sentBody(), permit.target());
    ApprovalAsking.requireApprovable(arrival.accepted(), arrival.method());
    if (facts.sentBody() == null && arrival.accepted().fields().announceBody()) {
      long most = Math.min(ApprovalTerms.MOST_BODY, permit.target().maxRequestBody());
      return arrival
          .exchange()
          .trace()
          .later("hold_body", () -> arrival.side().read(most, permit.target().maxStream()))
          .thenCompose(bytes ->
              approved(
                  arrival,
                  permit,
                  needed,
                  new FactsWithBody(arrival.accepted(), new RequestBody(bytes)),
                  tries));
    }
    AskedRequest asked =
        ApprovalAsking.of(arrival.accepted(), arrival.caller(), permit, needed, facts);
    Approved used = new Approved(needed.scope(), asked.shown().hashText());
    if (used.equals(arrival.approved())) {
      return recorded(arrival, new Permitted(permit, facts), tries);
    }
    return arrival
        .exchange()
        .trace()
        .later("ask_approval", () -> approvals.ask(asked))
        .thenCompose(standing -> {
          arrival.exchange().entry().detail("approval", standing.id().toString());
          if (standing.state() == ApprovalState.APPROVED) {
            return use(arrival, standing, asked, new Permitted(permit, facts), tries);
          }
          Duration hold = needed.terms().hold();
          if (standing.state() != ApprovalState.PENDING || hold.isZero() || arrival.waited()) {
            throw new ApprovalRefusedException(standing);
          }
          return arrival
              .exchange()
              .trace()
              .later(
                  "wait_for_approval",
                  () -> arrival.side().whileOpen(approvals.decided(standing.id(), hold), hold))
              .thenComposeAsync(
                  v -> permitted(arrival.afterWaiting(), facts, tries), Admission::aside);
        });
  }

  /** Everything else that can fail comes first: an approval that is used up is gone. */
  private CompletableFuture<Permitted> use(
      Arrival arrival, Standing standing, AskedRequest asked, Permitted permitted, int tries) {
    Trace trace = arrival.exchange().trace();
    Destination target = permitted.permit().target();
    checkCopySource(arrival.accepted(), arrival.caller(), target);
    return equipment(target, arrival.caller(), trace)
        .thenCompose(
            ready -> arrival.side().whileOpen(CompletableFuture.completedFuture(ready), SHORT))
        .thenCompose(open -> trace.later("use_approval", () -> approvals.use(standing.id(), asked)))
        .thenComposeAsync(
            use -> {
              if (use == ApprovalStore.Use.USED) {
                var used = new Approved(asked.scope(), asked.shown().hashText());
                return recorded(arrival.approvedAs(used), permitted, tries);
              }
              if (tries <= 1) {
                throw new RefusedException(
                    ProblemCode.TEMPORARILY_UNAVAILABLE, "the approval kept changing");
              }
              return permitted(arrival, permitted.facts(), tries - 1);
            },
            Admission::aside);
  }

  /** What a condition says about a body is asked where nobody else has to wait for it. */
  private static void aside(Runnable task) {
    Thread.ofVirtual().name("conditions").start(task);
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
        .later("hold_body", () -> arrival.side().read(most, needed.target().maxStream()))
        .thenComposeAsync(
            bytes ->
                permitted(
                    arrival, new FactsWithBody(arrival.accepted(), new RequestBody(bytes)), tries),
            Admission::aside);
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
    boolean each =
        permit.target().fullAudit()
            || permit.approval() != null
            || arrival.method().equals(ScopeRules.WEB_SOCKET);
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
    boolean once = permitted.permit().approval() != null;
    return equipment(target, caller, trace)
        .thenApply(ready ->
            new Admitted(
                accepted,
                webSocket,
                caller,
                target,
                ready.addresses(),
                ready.credential(),
                ready.certificate(),
                held,
                once,
                clock));
  }

  private CompletableFuture<Equipment> equipment(Destination target, Caller caller, Trace trace) {
    return trace
        .later("resolve", () -> egress.resolve(target))
        .thenCompose(addresses ->
            credential(target, caller, trace)
                .thenCompose(credential ->
                    certificate(target, trace)
                        .thenApply(shown -> new Equipment(addresses, credential, shown))));
  }

  private CompletableFuture<Credentials.Credential> credential(
      Destination target, Caller caller, Trace trace) {
    return target.hasCredential()
        ? trace.later(
            "fetch_credential", () -> credentials.get(target.credentialOf(caller.agent())))
        : CompletableFuture.completedFuture(Credentials.Credential.NONE);
  }

  private CompletableFuture<Credentials.@Nullable Credential> certificate(
      Destination target, Trace trace) {
    DestinationSpec.Credential.Certificate wanted = target.certificate();
    return wanted == null
        ? CompletableFuture.completedFuture(null)
        : trace.later("fetch_certificate", () -> credentials.get(wanted));
  }

  /**
   * S3 reads what a copy is made from by the same key, wherever it is: the caller has to be allowed
   * to read it by itself.
   */
  private void checkCopySource(Guard.Accepted accepted, Caller caller, Destination target) {
    if (!(target.injection().signing() instanceof Signing.AwsSigV4)) {
      return;
    }
    for (String header : accepted.fields().all("x-amz-copy-source")) {
      CopySource source = CopySource.parse(header);
      switch (permissions.authorise(caller, target.name(), "GET", source.path(), source)) {
        case Permissions.Permit permit -> {
          permit.meter().end();
          if (permit.approval() != null) {
            throw new RefusedException(
                ProblemCode.APPROVAL_IMPOSSIBLE, "to read a copy's source needs an approval");
          }
        }
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
