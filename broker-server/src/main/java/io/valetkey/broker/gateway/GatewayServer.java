package io.valetkey.broker.gateway;

import io.netty.channel.Channel;
import io.netty.handler.timeout.IdleStateHandler;
import io.valetkey.broker.net.AnyClientCertificate;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.DecisionScope;
import io.valetkey.broker.telemetry.Trace;
import io.vertx.core.Context;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.VerticleBase;
import io.vertx.core.Vertx;
import io.vertx.core.http.ClientAuth;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.KeyCertOptions;
import io.vertx.core.net.ServerSSLOptions;
import io.vertx.core.net.TrustOptions;
import io.vertx.core.net.impl.ConnectionBase;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The egress gateway on its own port: HTTP/1.1 in and out, streaming in both directions, over TLS
 * if it has a certificate. Starting it binds the port; stopping it refuses new connections, lets
 * running exchanges end within a bound and cuts the rest.
 */
public final class GatewayServer {

  /** How many tunnels that nobody looks into may be open at once. */
  private static final int TUNNELS = 2_000;

  private static final Logger log = LoggerFactory.getLogger(GatewayServer.class);
  private static final int HEADER_BYTES = 32 * 1024;
  private static final List<HttpVersion> PROTOCOLS =
      List.of(HttpVersion.HTTP_2, HttpVersion.HTTP_1_1);
  private static final int REQUEST_LINE_BYTES = 16 * 1024;
  private static final Set<String> TLS_VERSIONS = Set.of("TLSv1.3", "TLSv1.2");

  /** Whose a certificate is does not matter here: a token names the one that it is bound to. */
  private static final TrustOptions ANY_CLIENT = TrustOptions.wrap(new AnyClientCertificate());

  private static final long COUNTS_MILLIS = 60_000;
  private static final long MARGIN_SECONDS = 10;

  private final Vertx vertx;
  private final GatewaySettings settings;
  private final Trail trail;
  private final GatewayTelemetry telemetry;
  private final LiveExchanges live;
  private final Credentials credentials;
  private final Egress egress;
  private final Admission admission;
  private final ApprovalPoll approvalPoll;
  private final Permissions permissions;
  private final Clock clock;
  private final Uses uses = new Uses();
  private final DeferredRecords deferred = new DeferredRecords();
  private final Conversation.Bounds bounds;
  private final Scrubbers scrubbers = new Scrubbers();
  private final AnswerAddresses addresses;
  private final Entrance.@Nullable ByHost byHost;
  private final UpstreamPools pools;
  private final List<HttpServer> servers = new CopyOnWriteArrayList<>();
  private volatile @Nullable KeyManagerFactory own;
  private volatile @Nullable ForwardProxy forward;
  private volatile @Nullable String deployment;
  private long counts = -1;
  private volatile boolean draining;

  /**
   * Makes a gateway that does not listen yet.
   *
   * @param live where running exchanges are found by whoever must end them
   * @param trust which authorities upstream certificates may come from
   * @param own the gateway's own certificate and key; null for plain HTTP, with TLS in front of it
   */
  public GatewayServer(
      Vertx vertx,
      GatewaySettings settings,
      Trail trail,
      Permissions permissions,
      Egress egress,
      Credentials credentials,
      Approvals approvals,
      LiveExchanges live,
      TrustManagerFactory trust,
      @Nullable KeyManagerFactory own,
      GatewayTelemetry telemetry,
      Clock clock) {
    this.vertx = vertx;
    this.own = own;
    this.telemetry = telemetry;
    this.settings = settings;
    this.trail = trail;
    this.live = live;
    this.credentials = credentials;
    this.egress = egress;
    this.permissions = permissions;
    this.clock = clock;
    this.admission =
        new Admission(permissions, approvals, uses, egress, credentials, live, settings, clock);
    this.approvalPoll = new ApprovalPoll(permissions, approvals, live, settings, clock);
    this.addresses = new AnswerAddresses(settings);
    DestinationHosts hosts = settings.hosts();
    this.byHost = hosts == null ? null : new Entrance.ByHost(hosts);
    this.pools = new UpstreamPools(vertx, settings, trust, egress, clock);
    this.bounds =
        new Conversation.Bounds(() -> draining, permissions::areCurrent, deferred, telemetry);
  }

  /** Opens and closes this together with the gateway. Call it before {@link #start}. */
  public void forward(ForwardProxy proxy) {
    forward = proxy;
  }

  /** How many pools of upstream connections there are, about. */
  public long pools() {
    return pools.size();
  }

  /** How many records wait for the database to come back. */
  public int deferredRecords() {
    return deferred.size();
  }

  /** Where records wait while the database is away. */
  DeferredRecords deferred() {
    return deferred;
  }

  /**
   * Binds the port.
   *
   * @throws IllegalStateException if that is not possible
   */
  public void start() {
    int listeners = Runtime.getRuntime().availableProcessors();
    deployment =
        await(
            vertx
                .deployVerticle(
                    () -> new Listener(), new DeploymentOptions().setInstances(listeners))
                .toCompletionStage());
    ForwardProxy proxy = forward;
    if (proxy != null) {
      await(proxy.start().toCompletionStage());
    }
    counts = vertx.setPeriodic(COUNTS_MILLIS, id -> uses.flush(trail));
  }

  /** One for each core: a server handles its connections on the event loop that started it. */
  private final class Listener extends VerticleBase {

    @Override
    public Future<?> start() {
      HttpServer server = server(own, PROTOCOLS, GatewayServer.this::guard);
      // To Vert.x any free port is a negative one, if all listeners are to share it.
      int port = settings.port() == 0 ? -1 : settings.port();
      return server.listen(port, settings.host()).onSuccess(servers::add);
    }
  }

  /**
   * What the gates of a forward proxy have in common.
   *
   * @param outside how requests come in that are in no tunnel
   */
  ProxyGate.Shared shared(InterceptionCertificates certificates, Entrance outside) {
    return new ProxyGate.Shared(
        new Tunnels(permissions, outside, live, certificates, egress, clock),
        new TunnelDial(vertx, egress, settings.connectTimeout(), TUNNELS),
        new TunnelRelay.Bounds(
            permissions::areCurrent,
            deferred,
            telemetry,
            settings.webSocketIdle(),
            settings.idleTimeout()),
        onEnding -> new Exchange(trail, live, Way.INTERCEPT, onEnding),
        telemetry,
        settings.headTimeout(),
        settings.connectTimeout());
  }

  /**
   * A server whose requests this gateway carries out. It does not listen yet.
   *
   * @param keys its certificate and key; null for plain HTTP
   * @param protocols what is spoken over TLS, as ALPN names it, the best first
   * @param onConnection must call {@link #guard} first
   */
  HttpServer server(
      @Nullable KeyManagerFactory keys,
      List<HttpVersion> protocols,
      Handler<HttpConnection> onConnection) {
    HttpServerOptions options = options();
    if (keys != null) {
      options
          .setSsl(true)
          .setUseAlpn(true)
          .setAlpnVersions(protocols)
          // Until HTTP begins; from then on the guard of the connection keeps the time.
          .setReadIdleTimeout((int) settings.headTimeout().toMillis())
          .setIdleTimeoutUnit(TimeUnit.MILLISECONDS)
          .setKeyCertOptions(KeyCertOptions.wrap(keys))
          .setEnabledSecureTransportProtocols(TLS_VERSIONS)
          .setSslHandshakeTimeout(settings.connectTimeout().toSeconds())
          .setSslHandshakeTimeoutUnit(TimeUnit.SECONDS);
      if (settings.clientCertificates()) {
        options.setClientAuth(ClientAuth.REQUEST).setTrustOptions(ANY_CLIENT);
      }
    }
    return vertx
        .createHttpServer(options)
        .connectionHandler(onConnection)
        .requestHandler(this::handle)
        .invalidRequestHandler(this::invalid);
  }

  private static HttpServerOptions options() {
    return new HttpServerOptions()
        .setHttp2ClearTextEnabled(false)
        .setInitialSettings(Http2Bounds.settings())
        .setHttp2ConnectionWindowSize(Http2Bounds.CONNECTION_WINDOW)
        .setHttp2RstFloodMaxRstFramePerWindow(Http2Bounds.RESETS)
        .setHttp2RstFloodWindowDuration(Http2Bounds.RESET_SECONDS)
        .setHttp2RstFloodWindowDurationTimeUnit(TimeUnit.SECONDS)
        .setHttp2MaxSmallContinuationFrames(Http2Bounds.SMALL_CONTINUATIONS)
        .setMaxHeaderSize(HEADER_BYTES)
        .setMaxInitialLineLength(REQUEST_LINE_BYTES)
        .setDecompressionSupported(false)
        .setCompressionSupported(false)
        // A WebSocket is between the caller and the upstream: nothing is negotiated here.
        .setPerMessageWebSocketCompressionSupported(false)
        .setPerFrameWebSocketCompressionSupported(false);
  }

  /** HTTP/2 for tunnels, with the bounds that it has at our own port. */
  Http2Tunnel http2Tunnel() {
    return new Http2Tunnel(options(), settings.headTimeout(), this::guard, this::handle);
  }

  ServerSSLOptions tls(KeyManagerFactory keys, List<HttpVersion> protocols) {
    ServerSSLOptions options =
        new ServerSSLOptions()
            .setUseAlpn(true)
            .setApplicationLayerProtocols(protocols.stream().map(HttpVersion::alpnName).toList())
            .setKeyCertOptions(KeyCertOptions.wrap(keys))
            .setEnabledSecureTransportProtocols(TLS_VERSIONS)
            .setSslHandshakeTimeout(settings.connectTimeout().toSeconds())
            .setSslHandshakeTimeoutUnit(TimeUnit.SECONDS);
    if (settings.clientCertificates()) {
      options.setClientAuth(ClientAuth.REQUEST).setTrustOptions(ANY_CLIENT);
    }
    return options;
  }

  /**
   * Takes a renewed certificate for connections that begin from now on; those that are open stay.
   * Of a gateway that speaks plain HTTP it is ignored.
   */
  public void renew(KeyManagerFactory renewed) {
    if (own == null) {
      return;
    }
    own = renewed;
    ForwardProxy proxy = forward;
    if (proxy != null) {
      proxy.renew(renewed);
    }
    for (HttpServer server : servers) {
      var _ =
          server
              .updateSSLOptions(tls(renewed, PROTOCOLS))
              .onFailure(e -> log.error("The renewed certificate of the gateway is not used", e));
    }
  }

  /** From now on every answer closes its connection, so that callers go elsewhere in good time. */
  public void leave() {
    draining = true;
  }

  /** Drains and closes. Returns when every exchange has ended, at the latest after the bound. */
  public void stop() {
    draining = true;
    String stopping = deployment;
    if (stopping != null) {
      deployment = null;
      vertx.cancelTimer(counts);
      List<Future<?>> ending = new ArrayList<>();
      for (HttpServer server : servers) {
        ending.add(server.shutdown(settings.drain()));
      }
      ForwardProxy proxy = forward;
      if (proxy != null) {
        ending.add(proxy.shutdown(settings.drain()));
      }
      await(Future.join(ending).toCompletionStage());
      await(vertx.undeploy(stopping).toCompletionStage());
      servers.clear();
    }
    live.cut(exchange -> true);
    uses.flush(trail);
    deferred.flush();
    dropIdleConnections();
  }

  /** A way to try a destination out, for nobody. */
  UpstreamProbe probe(Destination destination) {
    return new UpstreamProbe(vertx, egress, credentials, pools, destination, clock);
  }

  /** Whether the port is bound. */
  public boolean isRunning() {
    return deployment != null;
  }

  /** The bound port, or −1 if none is. */
  public int port() {
    return servers.isEmpty() ? -1 : servers.getFirst().actualPort();
  }

  /** Forgets idle connections and compiled credentials; call it when a stop comes into force. */
  public void dropIdleConnections() {
    pools.dropIdle();
    scrubbers.drop();
  }

  /** Puts the guard before the parser of a connection. */
  void guard(HttpConnection connection) {
    var pipeline = ((ConnectionBase) connection).channel().pipeline();
    if (pipeline.get(IdleStateHandler.class) != null) {
      pipeline.remove(IdleStateHandler.class);
    }
    if (connection.protocolVersion() == HttpVersion.HTTP_2) {
      Http2Caller.watch(
          connection,
          settings,
          code -> {
            var _ = unread(connection, code);
          });
      return;
    }
    pipeline.addBefore(
        "httpDecoder",
        "wireGuard",
        new WireGuardHandler(
            () -> refusedOnTheWire(connection), settings.headTimeout(), settings.keepAlive()));
  }

  private CompletableFuture<UUID> refusedOnTheWire(HttpConnection connection) {
    return unread(connection, ProblemCode.INVALID_REQUEST);
  }

  /** Puts on record what was refused before there was a request. */
  private CompletableFuture<UUID> unread(HttpConnection connection, ProblemCode code) {
    telemetry.unreadable(code);
    Way way = Entrance.of(connection).way();
    return new Exchange(trail, live, way, why -> CompletableFuture.completedFuture(null))
        .unserved(code, "the bytes are not one unambiguous request");
  }

  private void invalid(HttpServerRequest request) {
    request.pause();
    String cause = String.valueOf(request.decoderResult().cause());
    ProblemCode code = ProblemCode.INVALID_REQUEST;
    if (cause.contains("TooLongHttpHeader")) {
      code = ProblemCode.HEADERS_TOO_LARGE;
    } else if (cause.contains("TooLongHttpLine")) {
      code = ProblemCode.URI_TOO_LONG;
    }
    conversation(request, Entrance.of(request.connection()))
        .fail(code, "the parser refused the request");
  }

  private void handle(HttpServerRequest request) {
    request.pause();
    Entrance entrance = entrance(request);
    Conversation conversation = conversation(request, entrance);
    if (request.version() == HttpVersion.HTTP_1_0) {
      conversation.fail(ProblemCode.INVALID_REQUEST, "not HTTP/1.1");
      return;
    }
    Guard.Head head = head(request, conversation);
    Context context = conversation.context();
    PeerCertificate peer = PeerCertificate.of(((ConnectionBase) request.connection()).channel());
    if (approvalPoll.isMeant(entrance, head)) {
      var _ =
          approvalPoll
              .standing(entrance, peer, head, conversation.exchange())
              .whenComplete((notice, failure) ->
                  context.runOnContext(v -> tell(conversation, notice, failure)));
      return;
    }
    CompletableFuture<Admission.Admitted> answer =
        admission.admit(
            entrance, peer, head, conversation.exchange(), new WaitingCaller(conversation));
    boolean here = answer.isDone(); // then this is the event loop still
    var _ =
        answer.whenComplete((admitted, failure) -> {
          if (here) {
            proceed(conversation, admitted, failure);
          } else {
            context.runOnContext(v -> proceed(conversation, admitted, failure));
          }
        });
  }

  /** The caller's side, while it is not known yet whether anything goes upstream. */
  private final class WaitingCaller implements Admission.WaitingCaller {

    private final Conversation conversation;

    WaitingCaller(Conversation conversation) {
      this.conversation = conversation;
    }

    @Override
    public CompletableFuture<byte[]> read(long most, Duration longest) {
      conversation.limit(longest);
      return HeldBody.read(
          conversation,
          most,
          settings.idleTimeout(),
          "body_too_large_for_condition: a rule looks at no larger one");
    }

    @Override
    public CompletableFuture<Void> whileOpen(CompletableFuture<?> thing, Duration longest) {
      return conversation.whileOpen(thing, longest);
    }
  }

  private void tell(
      Conversation conversation, @Nullable ApprovalNotice notice, @Nullable Throwable failure) {
    if (notice == null) {
      proceed(conversation, null, failure);
    } else if (conversation.mayPassOn()) {
      conversation.answer(notice.fields(), notice.json());
    }
  }

  /** At our own address the {@code Host} may name the destination instead of the path. */
  private Entrance entrance(HttpServerRequest request) {
    Entrance entrance = Entrance.of(request.connection());
    return byHost != null && entrance.isOwnAddress() && byHost.isMeant(hosts(request))
        ? byHost
        : entrance;
  }

  private static List<String> hosts(HttpServerRequest request) {
    return request.version() == HttpVersion.HTTP_2
        ? Http2Head.hosts(request)
        : request.headers().getAll("host");
  }

  private void proceed(
      Conversation conversation,
      Admission.@Nullable Admitted admitted,
      @Nullable Throwable failure) {
    if (admitted != null) {
      new Forward(conversation, admitted, pools, credentials, scrubbers, addresses, settings)
          .start();
    } else if (failure != null && Trace.cause(failure) instanceof RefusedException refused) {
      conversation.retryAfter(refused.retryAfterSeconds());
      if (refused instanceof ApprovalRefusedException missing) {
        conversation.approval(ApprovalNotice.of(missing.standing(), settings));
      }
      conversation.fail(refused.code(), refused.detail());
    } else {
      try (var _ = DecisionScope.of(conversation.exchange().entry().decisionId())) {
        log.error("A step of the gateway failed", failure);
      }
      conversation.fail(ProblemCode.INTERNAL, "a step failed unexpectedly");
    }
  }

  private static Guard.Head head(HttpServerRequest request, Conversation conversation) {
    if (request.version() == HttpVersion.HTTP_2) {
      return Http2Head.of(request, conversation.hasUnreadBody());
    }
    Fields fields = new Fields();
    request.headers().forEach((name, value) -> fields.add(name, value));
    return new Guard.Head(request.method().name(), request.uri(), fields);
  }

  private Conversation conversation(HttpServerRequest request, Entrance entrance) {
    return new Conversation(
        vertx.getOrCreateContext(), request, entrance.way(), trail, live, bounds, leg(request));
  }

  private CallerLeg leg(HttpServerRequest request) {
    Channel channel = ((ConnectionBase) request.connection()).channel();
    Http2Caller caller = Http2Caller.of(channel);
    return caller == null
        ? new Http1Leg(vertx, request, channel.pipeline().get(WireGuardHandler.class))
        : new Http2Leg(caller, request);
  }

  private <T> T await(java.util.concurrent.CompletionStage<T> stage) {
    try {
      return stage
          .toCompletableFuture()
          .get(settings.drain().toSeconds() + MARGIN_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    } catch (ExecutionException | TimeoutException e) {
      throw new IllegalStateException("the gateway could not start or stop", e);
    }
  }
}
