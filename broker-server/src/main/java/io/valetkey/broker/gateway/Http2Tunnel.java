package io.valetkey.broker.gateway;

import io.netty.channel.ChannelPipeline;
import io.netty.handler.timeout.IdleStateHandler;
import io.vertx.core.Handler;
import io.vertx.core.http.Http2ServerConfig;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.QueryParamDecoderConfig;
import io.vertx.core.http.impl.HttpServerConnection;
import io.vertx.core.http.impl.HttpServerRequestImpl;
import io.vertx.core.http.impl.http2.codec.Http2CodecServerChannelInitializer;
import io.vertx.core.internal.ContextInternal;
import io.vertx.core.internal.http.QueryParamDecoder;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Puts HTTP/2 in the place of the HTTP/1.1 with which every connection of a forward proxy begins,
 * as soon as the TLS inside a tunnel has chosen it. The engine offers this for its own ports only.
 */
final class Http2Tunnel {

  private static final List<String> HTTP_1 =
      List.of("wireGuard", "httpDecoder", "httpEncoder", "webSocketExtensionHandler");

  private final HttpServerOptions options;
  private final Duration patience;
  private final Handler<HttpConnection> onConnection;
  private final Handler<HttpServerRequest> onRequest;

  /**
   * Tunnels whose requests are handed on.
   *
   * @param options the bounds, the same as those of a port
   * @param patience how long a caller may wait before it begins
   */
  Http2Tunnel(
      HttpServerOptions options,
      Duration patience,
      Handler<HttpConnection> onConnection,
      Handler<HttpServerRequest> onRequest) {
    this.options = options;
    this.patience = patience;
    this.onConnection = onConnection;
    this.onRequest = onRequest;
  }

  /** Changes what is spoken; nothing of what was said in the tunnel may have been read yet. */
  void begin(ContextInternal context, ChannelPipeline pipeline) {
    for (String name : HTTP_1) {
      if (pipeline.get(name) != null) {
        pipeline.remove(name);
      }
    }
    Http2ServerConfig bounds = options.getHttp2Config();
    new Http2CodecServerChannelInitializer(
            null,
            null,
            null,
            null,
            false,
            false,
            bounds,
            null,
            context::duplicate,
            this::connected,
            null,
            false)
        .configureHttp2(context, pipeline, true);
    // Until HTTP/2 begins; the guard of the connection takes it away.
    pipeline.addBefore(
        "handler",
        "http2Beginning",
        new IdleStateHandler(patience.toMillis(), 0, 0, TimeUnit.MILLISECONDS));
  }

  private void connected(HttpServerConnection connection) {
    connection.setWindowSize(Http2Bounds.CONNECTION_WINDOW);
    var parameters = new QueryParamDecoder(new QueryParamDecoderConfig());
    connection.streamHandler(stream ->
        new HttpServerRequestImpl(
                onRequest,
                stream,
                stream.context(),
                options.isHandle100ContinueAutomatically(),
                options.getMaxFormAttributeSize(),
                options.getMaxFormFields(),
                options.getMaxFormBufferedBytes(),
                parameters,
                "")
            .init());
    onConnection.handle(connection);
  }
}
