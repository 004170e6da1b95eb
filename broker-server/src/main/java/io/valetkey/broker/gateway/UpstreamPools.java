package io.valetkey.broker.gateway;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.netty.channel.EventLoop;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.ClientCertificate;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpClientAgent;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.internal.ContextInternal;
import io.vertx.core.net.KeyCertOptions;
import io.vertx.core.net.ProxyOptions;
import io.vertx.core.net.ProxyType;
import io.vertx.core.net.SocketAddress;
import io.vertx.core.net.TrustOptions;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;

/**
 * Connections to upstreams. One pool for each agent, destination, version of the credential and of
 * the client certificate, and address: an answer that comes late on a shared connection would reach
 * somebody else's request. The certificate is always verified against the destination's name,
 * whatever address is connected to. A connection does not outlive the client certificate that was
 * shown on it.
 */
final class UpstreamPools {

  private static final int CONNECTIONS_PER_POOL = 1024;
  private static final int POOLS = 50_000;
  private static final int HEADER_BYTES = 32 * 1024;
  private static final int CLEANER_MILLIS = 5_000;
  private static final Duration LONGEST_EXCHANGE = Duration.ofHours(1);

  /**
   * The address is a further part of the key: the client keeps endpoints apart by it. The event
   * loop is one, because a connection of another loop costs two hops between threads per request.
   */
  private record Key(
      String agent,
      String destination,
      String host,
      int port,
      long version,
      long certificate,
      boolean http2,
      EventLoop loop) {}

  /** Connections that end when the certificate does that was shown on them, if one was. */
  private record Pool(HttpClientAgent client, @Nullable Instant end) {}

  private final Vertx vertx;
  private final GatewaySettings settings;
  private final TrustOptions trust;
  private final Egress egress;
  private final Cache<Key, Pool> clients;
  private final Clock clock;
  private final Set<HttpConnection> used = ConcurrentHashMap.newKeySet();

  UpstreamPools(
      Vertx vertx,
      GatewaySettings settings,
      TrustManagerFactory trust,
      Egress egress,
      Clock clock) {
    this.clock = clock;
    this.egress = egress;
    this.vertx = vertx;
    this.settings = settings;
    this.trust = TrustOptions.wrap(trust);
    this.clients =
        Caffeine.newBuilder()
            .maximumSize(POOLS)
            .expireAfterAccess(settings.keepAlive().multipliedBy(2))
            .<Key, Pool>removalListener((key, pool, cause) -> {
              if (pool != null) {
                pool.client().shutdown(left(pool.end()));
              }
            })
            .build();
  }

  /** Connects, or takes an idle connection, and gives a request that has sent nothing yet. */
  Future<HttpClientRequest> request(
      Admission.Admitted admitted, UpstreamRequest request, InetAddress address) {
    Destination target = admitted.destination();
    var key =
        new Key(
            admitted.caller().agent(),
            target.name(),
            target.host(),
            target.port(),
            admitted.credential().version(),
            admitted.certificateVersion(),
            // A WebSocket begins with HTTP/1.1.
            target.http2() && admitted.webSocket() == null,
            ((ContextInternal) vertx.getOrCreateContext()).nettyEventLoop());
    Pool known = clients.getIfPresent(key);
    Pool pool = known != null ? known : clients.get(key, made -> pool(made, admitted));
    return pool.client()
        .request(
            to(target, address)
                .setHost(target.host())
                .setPort(target.port())
                .setSsl(true)
                .setFollowRedirects(false)
                .setConnectTimeout(settings.connectTimeout().toMillis())
                .setMethod(HttpMethod.valueOf(request.method()))
                .setURI(request.uri()));
  }

  /** Whom to connect to: the address, or through the proxy there whatever the name means to it. */
  private RequestOptions to(Destination target, InetAddress address) {
    UpstreamProxy proxy = egress.proxy(target);
    if (proxy == null) {
      return new RequestOptions()
          .setServer(
              SocketAddress.inetSocketAddress(new InetSocketAddress(address, target.port())));
    }
    ProxyOptions options =
        new ProxyOptions()
            .setType(ProxyType.HTTP)
            .setHost(address.getHostAddress())
            .setPort(proxy.port());
    SecretValue password = proxy.password();
    if (password != null) {
      options.setUsername(proxy.user()).setPassword(password.reveal());
    }
    return new RequestOptions()
        .setServer(SocketAddress.inetSocketAddress(target.port(), target.host()))
        .setProxyOptions(options);
  }

  /** Whether the connection has carried a request before; asks once for each request. */
  boolean isReused(HttpConnection connection) {
    if (!used.add(connection)) {
      return true;
    }
    connection.closeHandler(v -> used.remove(connection));
    return false;
  }

  /** How many pools there are, about. */
  long size() {
    return clients.estimatedSize();
  }

  /** Ends idle connections of credentials that nobody may use any more. */
  void dropIdle() {
    clients.invalidateAll();
  }

  /** How long an exchange may go on: as long as the certificate of its connection. */
  private Duration left(@Nullable Instant end) {
    if (end == null) {
      return LONGEST_EXCHANGE;
    }
    Duration left = Duration.between(clock.instant(), end);
    return left.isNegative() ? Duration.ZERO : left;
  }

  private Pool pool(Key key, Admission.Admitted admitted) {
    ClientCertificate shown = admitted.certificate();
    if (shown == null) {
      return new Pool(client(key, null), null);
    }
    // The timer knows the key of the pool and not that of the certificate, which may go before.
    vertx.setTimer(Math.max(1, left(shown.end()).toMillis()), timer -> clients.invalidate(key));
    return new Pool(client(key, shown), shown.end());
  }

  private HttpClientAgent client(Key key, @Nullable ClientCertificate shown) {
    HttpClientOptions options =
        new HttpClientOptions()
            .setSsl(true)
            .setVerifyHost(true)
            .setTrustAll(false)
            .setForceSni(!Egress.isAddress(key.host()))
            .setTrustOptions(trust)
            .setSslHandshakeTimeout(settings.connectTimeout().toMillis())
            .setSslHandshakeTimeoutUnit(TimeUnit.MILLISECONDS)
            .setConnectTimeout((int) settings.connectTimeout().toMillis())
            .setKeepAliveTimeout((int) settings.keepAlive().toSeconds())
            .setMaxHeaderSize(HEADER_BYTES)
            .setPipelining(false)
            .setDecompressionSupported(false);
    if (shown != null) {
      options.setKeyCertOptions(KeyCertOptions.wrap(shown.keyManager()));
    }
    if (key.http2()) {
      options
          .setProtocolVersion(HttpVersion.HTTP_2)
          .setUseAlpn(true)
          .setAlpnVersions(List.of(HttpVersion.HTTP_2, HttpVersion.HTTP_1_1))
          .setInitialSettings(Http2Bounds.settings().setPushEnabled(false))
          .setHttp2ConnectionWindowSize(Http2Bounds.CONNECTION_WINDOW)
          .setHttp2KeepAliveTimeout((int) settings.keepAlive().toSeconds());
    }
    PoolOptions pool =
        new PoolOptions()
            .setHttp2MaxSize(CONNECTIONS_PER_POOL)
            .setHttp1MaxSize(CONNECTIONS_PER_POOL)
            .setMaxWaitQueueSize(0)
            .setCleanerPeriod(CLEANER_MILLIS);
    return vertx.httpClientBuilder().with(options).with(pool).build();
  }
}
