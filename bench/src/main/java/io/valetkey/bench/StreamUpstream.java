package io.valetkey.bench;

import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.net.PemKeyCertOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * An upstream with TLS that sends events to every open stream at a fixed rate, and short answers.
 */
final class StreamUpstream implements AutoCloseable {

  private static final String EVENT =
      "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";

  private final Vertx vertx = Vertx.vertx();
  private final Set<HttpServerResponse> streams = ConcurrentHashMap.newKeySet();
  private final int port;

  /** Starts it with a certificate and its key in one PEM file each. */
  StreamUpstream(Path certificate, Path key, Duration rate) {
    HttpServer server =
        vertx.createHttpServer(
            new HttpServerOptions()
                .setSsl(true)
                .setAcceptBacklog(2048)
                .setKeyCertOptions(
                    new PemKeyCertOptions()
                        .setCertPath(certificate.toString())
                        .setKeyPath(key.toString())));
    server.requestHandler(request -> {
      HttpServerResponse response = request.response();
      if (!request.path().equals("/v1/stream")) {
        response.end("{}");
        return;
      }
      response.setChunked(true).putHeader("Content-Type", "text/event-stream");
      response.exceptionHandler(e -> streams.remove(response));
      response.closeHandler(v -> streams.remove(response));
      response.write(EVENT);
      streams.add(response);
    });
    vertx.setPeriodic(rate.toMillis(), id -> streams.forEach(stream -> stream.write(EVENT)));
    this.port =
        server.listen(0, "127.0.0.1").toCompletionStage().toCompletableFuture().join().actualPort();
  }

  int port() {
    return port;
  }

  int open() {
    return streams.size();
  }

  @Override
  public void close() {
    vertx.close().toCompletionStage().toCompletableFuture().join();
  }
}
