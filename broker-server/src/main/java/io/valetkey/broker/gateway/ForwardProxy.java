package io.valetkey.broker.gateway;

import io.netty.channel.Channel;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.impl.ConnectionBase;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.net.ssl.KeyManagerFactory;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The gateway as a forward proxy on a port of its own, for programs that know nothing but {@code
 * HTTPS_PROXY}. It leads to the origin of the destination that the token is for, and nowhere else;
 * each request goes the same steps as one by the base URL.
 */
public final class ForwardProxy {

  private static final Logger log = LoggerFactory.getLogger(ForwardProxy.class);

  /** A proxy is asked by HTTP/1.1; what is spoken in a tunnel is another matter. */
  private static final List<HttpVersion> PROTOCOLS = List.of(HttpVersion.HTTP_1_1);

  private final Vertx vertx;
  private final GatewayServer gateway;
  private final ForwardSettings settings;
  private final Entrance entrance;
  private final ProxyGate.Shared shared;
  private final Http2Tunnel http2;
  private final List<HttpServer> servers = new CopyOnWriteArrayList<>();
  private volatile @Nullable KeyManagerFactory own;

  /**
   * Makes a proxy that does not listen yet; {@link GatewayServer#forward} opens and closes it.
   *
   * @param certificates what is shown to programs in tunnels
   * @param own the gateway's own certificate and key; null if it has none
   * @throws IllegalArgumentException if TLS is wanted and there is no certificate
   */
  public ForwardProxy(
      Vertx vertx,
      GatewayServer gateway,
      ForwardSettings settings,
      InterceptionCertificates certificates,
      @Nullable KeyManagerFactory own) {
    if (settings.tls() && own == null) {
      throw new IllegalArgumentException("TLS needs a certificate");
    }
    this.vertx = vertx;
    this.gateway = gateway;
    this.settings = settings;
    this.entrance = new Entrance.AbsoluteForm(settings.certificateSuffices());
    this.shared = gateway.shared(certificates, entrance);
    this.http2 = gateway.http2Tunnel();
    this.own = settings.tls() ? own : null;
  }

  /** Binds the port. */
  Future<?> start() {
    int listeners = Runtime.getRuntime().availableProcessors();
    return vertx.deployVerticle(Listener::new, new DeploymentOptions().setInstances(listeners));
  }

  /** Takes no more connections; completes when all have ended, at the latest after the bound. */
  Future<?> shutdown(Duration bound) {
    List<HttpServer> open = List.copyOf(servers);
    servers.clear();
    return Future.join(open.stream().map(server -> server.shutdown(bound)).toList());
  }

  /** Takes the gateway's renewed certificate, if it shows one. */
  void renew(KeyManagerFactory renewed) {
    if (own == null) {
      return;
    }
    own = renewed;
    for (HttpServer server : servers) {
      var _ =
          server
              .updateSSLOptions(gateway.tls(renewed, PROTOCOLS))
              .onFailure(e -> log.error("The renewed certificate is not used by the proxy", e));
    }
  }

  /** The bound port, or −1 if none is. */
  public int port() {
    return servers.isEmpty() ? -1 : servers.getFirst().actualPort();
  }

  private final class Listener extends VerticleBase {

    @Override
    public Future<?> start() {
      HttpServer server = gateway.server(own, PROTOCOLS, ForwardProxy.this::connected);
      int port = settings.port() == 0 ? -2 : settings.port();
      return server.listen(port, settings.host()).onSuccess(servers::add);
    }
  }

  private void connected(HttpConnection connection) {
    gateway.guard(connection);
    var base = (ConnectionBase) connection;
    Channel channel = base.channel();
    entrance.take(channel);
    var gate = new ProxyGate(shared, tunnel -> http2.begin(base.context(), tunnel));
    channel.pipeline().addBefore("wireGuard", "proxyGate", gate);
  }
}
