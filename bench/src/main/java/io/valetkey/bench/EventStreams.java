package io.valetkey.bench;

import io.valetkey.bench.Scene.Proxy;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;

/**
 * Open event streams, read as they come and compared byte by byte with what the upstream sends. One
 * event loop.
 */
final class EventStreams implements AutoCloseable {

  private static final byte[] EVENT = StreamUpstream.EVENT.getBytes(StandardCharsets.US_ASCII);
  private static final int AT_ONCE = 32;
  private static final int STREAMS_PER_CONNECTION = 64;

  private final Vertx vertx = Vertx.vertx();
  private final HttpClient client;
  private final Semaphore opening = new Semaphore(AT_ONCE);
  private final LongAdder open = new LongAdder();
  private final LongAdder events = new LongAdder();
  private final LongAdder broken = new LongAdder();

  /**
   * Makes a client without any stream.
   *
   * @param most how many there can be
   */
  EventStreams(int most, CallerLeg leg, Certificates certificates) {
    this.client =
        vertx.createHttpClient(
            leg.options(certificates).setHttp2MultiplexingLimit(STREAMS_PER_CONNECTION),
            new PoolOptions()
                .setHttp1MaxSize(most)
                .setHttp2MaxSize((most + STREAMS_PER_CONNECTION - 1) / STREAMS_PER_CONNECTION)
                .setEventLoopSize(1));
  }

  /** Begins to open one; waits while too many others are opening. */
  void open(Proxy proxy, String path, String token) throws InterruptedException {
    opening.acquire();
    var options =
        new RequestOptions()
            .setHost("127.0.0.1")
            .setPort(proxy.port())
            .setURI(proxy.prefix() + path)
            .putHeader("Authorization", "Bearer " + token);
    var _ =
        client
            .request(options)
            .compose(request -> request.send())
            .onSuccess(this::read)
            .onFailure(e -> opened(false));
  }

  private void opened(boolean well) {
    opening.release();
    (well ? open : broken).increment();
  }

  private void read(HttpClientResponse response) {
    if (response.statusCode() != 200) {
      opened(false);
      return;
    }
    opened(true);
    var place = new Place();
    response.handler(place::take);
    response.exceptionHandler(e -> broken.increment());
    response.endHandler(v -> broken.increment());
  }

  /** Where in the sequence of events a stream is. */
  private final class Place {
    private int next;

    void take(Buffer piece) {
      for (int i = 0; i < piece.length(); i++) {
        if (piece.getByte(i) != EVENT[next]) {
          broken.increment();
          return;
        }
        next++;
        if (next == EVENT.length) {
          next = 0;
          events.increment();
        }
      }
    }
  }

  /** Waits until so many are open. */
  void await(int count) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (open.sum() < count) {
      if (broken.sum() > 0 || System.nanoTime() > end) {
        throw new IllegalStateException(
            "%d of %d streams are open, %d broke".formatted(open.sum(), count, broken.sum()));
      }
      Thread.sleep(5);
    }
  }

  /** Whole events so far, on all streams. */
  long events() {
    return events.sum();
  }

  /** Streams that ended, or whose bytes were not those that were sent. */
  long broken() {
    return broken.sum();
  }

  @Override
  public void close() {
    CompletableFuture<Void> closed = vertx.close().toCompletionStage().toCompletableFuture();
    closed.orTimeout(30, TimeUnit.SECONDS).join();
  }
}
