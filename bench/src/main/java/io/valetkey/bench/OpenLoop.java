package io.valetkey.bench;

import java.io.IOException;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.Histogram;

/**
 * Requests at a fixed rate, whatever becomes of them: each connection has its own moments to send
 * at, and a latency runs from that moment, so that an answer that is late delays no clock. Blocking
 * sockets, one thread each, because timers of event loops count in milliseconds.
 */
final class OpenLoop {

  private static final long LONGEST_MICROS = TimeUnit.SECONDS.toMicros(60);

  private final int rate;
  private final int connections;

  /** Opens a connection. */
  @FunctionalInterface
  interface Connecting {
    Socket connect() throws IOException;
  }

  /**
   * Makes a loop.
   *
   * @param rate requests per second, on all connections together
   */
  OpenLoop(int rate, int connections) {
    this.rate = rate;
    this.connections = connections;
  }

  /**
   * Sends for this long.
   *
   * @param get asks once and fails if the answer is not right
   * @return latencies in microseconds
   */
  Histogram run(Connecting connecting, PlainGet get, Duration time) throws Exception {
    long interval = TimeUnit.SECONDS.toNanos(connections) / rate;
    long begun = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(200);
    long end = begun + time.toNanos();
    try (ExecutorService threads = Executors.newFixedThreadPool(connections)) {
      List<Future<Histogram>> parts = new ArrayList<>();
      for (int i = 0; i < connections; i++) {
        long first = begun + i * interval / connections;
        Callable<Histogram> part = () -> send(connecting, get, first, interval, end);
        parts.add(threads.submit(part));
      }
      var all = new Histogram(LONGEST_MICROS, 3);
      for (Future<Histogram> part : parts) {
        all.add(part.get());
      }
      return all;
    }
  }

  private static Histogram send(
      Connecting connecting, PlainGet get, long first, long interval, long end) throws IOException {
    var latency = new Histogram(LONGEST_MICROS, 3);
    try (Socket socket = connecting.connect()) {
      get.once(socket);
      for (long due = first; due < end; due += interval) {
        while (System.nanoTime() < due) {
          LockSupport.parkNanos(due - System.nanoTime());
        }
        get.once(socket);
        latency.recordValue(Math.min(LONGEST_MICROS, (System.nanoTime() - due) / 1000));
      }
    }
    return latency;
  }
}
