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
 * An upstream with TLS that sends events to every open stream, at a fixed rate ({@code /v1/stream})
 * or as fast as they are taken ({@code /v1/flood}), and short answers to everything else.
 */
final class StreamUpstream implements AutoCloseable {

  static final String PACED = "/v1/stream";
  static final String FLOOD = "/v1/flood";

  /** The answer to everything else. */
  static final String SHORT = "{}";

  /** Each of them, on every stream. */
  static final String EVENT = "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";

  /** So many are written before another stream of the same event loop has its turn. */
  private static final int BURST = 32;

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
      boolean flood = request.path().equals(FLOOD);
      if (!flood && !request.path().equals(PACED)) {
        response.end(SHORT);
        return;
      }
      response.setChunked(true).putHeader("Content-Type", "text/event-stream");
      if (flood) {
        response.exceptionHandler(e -> {});
        flood(response);
        return;
      }
      response.exceptionHandler(e -> streams.remove(response));
      response.closeHandler(v -> streams.remove(response));
      response.write(EVENT);
      streams.add(response);
    });
    vertx.setPeriodic(rate.toMillis(), id -> streams.forEach(stream -> stream.write(EVENT)));
    this.port =
        server.listen(0, "127.0.0.1").toCompletionStage().toCompletableFuture().join().actualPort();
  }

  /** Each event is a write of its own, as a model's words are. */
  private void flood(HttpServerResponse response) {
    for (int i = 0; i < BURST && !response.closed() && !response.writeQueueFull(); i++) {
      response.write(EVENT);
    }
    if (response.closed()) {
      return;
    }
    if (response.writeQueueFull()) {
      response.drainHandler(v -> flood(response));
    } else {
      vertx.runOnContext(v -> flood(response));
    }
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
