package io.valetkey.bench;

import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;

/**
 * A closed loop over keep-alive connections to loopback: each connection sends its next request
 * when it has read and checked the answer to the last. One event loop, so that the load takes
 * little of the processor from what is measured.
 */
final class ClosedLoop implements AutoCloseable {

  private static final String LOOPBACK = "127.0.0.1";
  private static final long LONGEST_MICROS = TimeUnit.SECONDS.toMicros(60);

  private static final int STREAMS = 8;

  private final Vertx vertx = Vertx.vertx();
  private final Context context = vertx.getOrCreateContext();
  private final HttpClient client;
  private final int connections;

  /** What is asked, and which answer is right. Called on one thread only. */
  interface Exchange {

    /** The body of the next request; empty for a GET. */
    Buffer nextBody();

    /** The fields of every request. */
    Map<String, String> headers();

    /** Whether the answer is what it must be. */
    boolean isRight(int status, Buffer body);
  }

  /**
   * What came of one run.
   *
   * @param operations right answers
   * @param wrong answers that were not right, and connections that broke
   * @param seconds how long it took
   * @param latency of the right answers, in microseconds
   */
  record Result(long operations, long wrong, double seconds, Histogram latency) {}

  /** A loop of HTTP/1.1 without TLS. */
  ClosedLoop(int connections) {
    this(connections, new HttpClientOptions());
  }

  /**
   * A loop over one kind of connection. With HTTP/2 each connection carries {@value #STREAMS}
   * requests at once.
   *
   * @param requests how many are under way at once
   */
  ClosedLoop(int requests, CallerLeg leg, Certificates certificates) {
    this(requests, leg.options(certificates).setHttp2MultiplexingLimit(STREAMS));
  }

  private ClosedLoop(int requests, HttpClientOptions options) {
    this.connections = requests;
    this.client =
        vertx.createHttpClient(
            options.setKeepAliveTimeout(600).setHttp2KeepAliveTimeout(600),
            new PoolOptions()
                .setHttp1MaxSize(requests)
                .setHttp2MaxSize((requests + STREAMS - 1) / STREAMS)
                .setEventLoopSize(1));
  }

  /** Sends for this long and waits for the last answers. */
  Result run(int port, String uri, Exchange exchange, Duration time) {
    var run = new Run(port, uri, exchange, System.nanoTime() + time.toNanos());
    long begun = System.nanoTime();
    context.runOnContext(v -> {
      for (int i = 0; i < connections; i++) {
        run.next();
      }
    });
    run.done.orTimeout(time.toSeconds() + 90, TimeUnit.SECONDS).join();
    double seconds = (System.nanoTime() - begun) / 1e9;
    return new Result(run.latency.getTotalCount(), run.wrong, seconds, run.latency);
  }

  private final class Run {

    private final RequestOptions options;
    private final Exchange exchange;
    private final long endNanos;
    private final Histogram latency = new Histogram(LONGEST_MICROS, 3);
    private final CompletableFuture<Void> done = new CompletableFuture<>();
    private int finished;
    private long wrong;

    Run(int port, String uri, Exchange exchange, long endNanos) {
      this.options = new RequestOptions().setHost(LOOPBACK).setPort(port).setURI(uri);
      exchange.headers().forEach(options::putHeader);
      this.exchange = exchange;
      this.endNanos = endNanos;
    }

    void next() {
      long sent = System.nanoTime();
      if (sent >= endNanos) {
        finished++;
        if (finished == connections) {
          done.complete(null);
        }
        return;
      }
      Buffer body = exchange.nextBody();
      options.setMethod(body.length() == 0 ? HttpMethod.GET : HttpMethod.POST);
      var _ =
          client
              .request(options)
              .compose(request -> request.send(body))
              .compose(response -> response.body().map(read -> isRight(response, read)))
              .onComplete(right -> answered(sent, right.succeeded() && right.result()));
    }

    private boolean isRight(HttpClientResponse response, Buffer body) {
      return exchange.isRight(response.statusCode(), body);
    }

    private void answered(long sent, boolean right) {
      if (right) {
        latency.recordValue(Math.min(LONGEST_MICROS, (System.nanoTime() - sent) / 1000));
      } else {
        wrong++;
      }
      next();
    }
  }

  @Override
  public void close() {
    client.close().toCompletionStage().toCompletableFuture().orTimeout(5, TimeUnit.SECONDS).join();
    vertx.close().toCompletionStage().toCompletableFuture().orTimeout(5, TimeUnit.SECONDS).join();
  }
}
