package io.valetkey.broker.audit;

import io.valetkey.broker.audit.OpenRecord.Receipt;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The audit trail of one replica: many requests, one writer, one statement for all that wait (group
 * commit). A record whose future completed with {@link Receipt#DURABLE} is on disk. A full queue or
 * a late flush is a refusal within the deadline, never a silent loss.
 */
public final class AuditLog implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(AuditLog.class);
  private static final int QUEUE = 8192;
  private static final int BATCH = 512;
  private static final int PARTITION_DAYS_AHEAD = 14;
  private static final Duration PARTITION_CHECK = Duration.ofHours(1);

  private final Connections connections;
  private final Clock clock;
  private final Duration deadline;
  private final BlockingQueue<Waiting> queue = new ArrayBlockingQueue<>(QUEUE);
  private final AtomicLong written = new AtomicLong();
  private final AtomicLong flushes = new AtomicLong();
  private final AtomicLong flushNanos = new AtomicLong();
  private final Thread writer;
  private volatile boolean running = true;
  private volatile boolean healthy = true;
  private long nextPartitionCheck = System.nanoTime();

  /** A record on its way, with the moment after which nobody waits for it any more. */
  private record Waiting(
      AuditRecord record, long epoch, long deadlineNanos, CompletableFuture<Receipt> receipt) {}

  /**
   * Starts the writer.
   *
   * @param deadline how long a caller waits at most before the record counts as not written
   */
  public AuditLog(Connections connections, Clock clock, Duration deadline) {
    this.connections = connections;
    this.clock = clock;
    this.deadline = deadline;
    this.writer = Thread.ofPlatform().name("audit-writer").daemon().start(this::run);
  }

  /** Opens the record of a request that just arrived. Never fails, never blocks. */
  public OpenRecord open(String action) {
    return new OpenRecord(this, action, clock.instant().truncatedTo(ChronoUnit.MILLIS));
  }

  CompletableFuture<Receipt> append(AuditRecord record, long epoch) {
    var receipt = new CompletableFuture<Receipt>();
    var waiting = new Waiting(record, epoch, System.nanoTime() + deadline.toNanos(), receipt);
    if (!running || !queue.offer(waiting)) {
      receipt.completeExceptionally(unavailable("the audit queue is full"));
      return receipt;
    }
    return receipt;
  }

  /**
   * Waits for a receipt, at most for the deadline.
   *
   * @throws RefusedException {@link ProblemCode#AUDIT_UNAVAILABLE} if it did not become durable in
   *     time
   */
  public Receipt await(CompletableFuture<Receipt> receipt) {
    try {
      return receipt.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RefusedException refused) {
        throw refused;
      }
      throw new CompletionException(e.getCause());
    } catch (TimeoutException e) {
      throw unavailable("the audit record was not durable in time");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw unavailable("interrupted while the audit record was written");
    }
  }

  /**
   * Completes the record of a refusal and waits for it.
   *
   * @return what may be said: the refusal, or that its record could not be written. A refusal for
   *     just that reason is not waited for a second time: the caller has waited already
   */
  public RefusedException refuse(OpenRecord record, RefusedException refusal) {
    if (refusal.code() == ProblemCode.AUDIT_UNAVAILABLE) {
      return refusal;
    }
    try {
      boolean ours = refusal.code().status() >= 500;
      var _ =
          await(
              ours
                  ? record.failed(refusal.code(), refusal.detail())
                  : record.refused(refusal.code(), refusal.detail()));
      return refusal;
    } catch (RefusedException unavailable) {
      return unavailable;
    }
  }

  /** Whether the last flush succeeded. */
  public boolean healthy() {
    return healthy;
  }

  /** How long all flushes since the start took together, in nanoseconds. */
  public long flushNanos() {
    return flushNanos.get();
  }

  /** How many records are durable since the start. */
  public long written() {
    return written.get();
  }

  /** How many statements it took to write them. */
  public long flushes() {
    return flushes.get();
  }

  /** How many records wait. */
  public int waiting() {
    return queue.size();
  }

  private void run() {
    while (running || !queue.isEmpty()) {
      try (Connection connection = connections.open()) {
        var batches = new AuditBatch(connection);
        healthy = true;
        while (running || !queue.isEmpty()) {
          flushOnce(connection, batches);
        }
      } catch (InterruptedException e) {
        running = false;
      } catch (SQLException | RuntimeException | Error e) {
        // An Error too: a writer that has died of a moment without memory would never come back.
        if (healthy) {
          healthy = false;
          log.error("The audit trail cannot be written, requests are refused: {}", e.getMessage());
        }
        failAllWaiting();
      }
    }
  }

  private void flushOnce(Connection connection, AuditBatch batches)
      throws SQLException, InterruptedException {
    makePartitions(connection);
    Waiting first = queue.poll(200, TimeUnit.MILLISECONDS);
    if (first == null) {
      return;
    }
    List<Waiting> batch = new ArrayList<>();
    batch.add(first);
    queue.drainTo(batch, BATCH - 1);
    batch.removeIf(this::expired);
    if (batch.isEmpty()) {
      return;
    }
    flush(batches, batch);
  }

  private void flush(AuditBatch batches, List<Waiting> batch) throws SQLException {
    boolean[] inserted;
    long begun = System.nanoTime();
    try {
      for (Waiting waiting : batch) {
        batches.add(waiting.record(), waiting.epoch());
      }
      inserted = batches.insert();
    } catch (SQLException | RuntimeException | Error e) {
      batch.forEach(
          w -> w.receipt().completeExceptionally(unavailable("the record was not written")));
      throw e;
    }
    flushes.incrementAndGet();
    flushNanos.addAndGet(System.nanoTime() - begun);
    for (int i = 0; i < inserted.length; i++) {
      if (inserted[i]) {
        written.incrementAndGet();
      }
      batch.get(i).receipt().complete(inserted[i] ? Receipt.DURABLE : Receipt.DECIDE_AGAIN);
    }
  }

  private boolean expired(Waiting waiting) {
    if (System.nanoTime() - waiting.deadlineNanos() < 0) {
      return false;
    }
    waiting.receipt().completeExceptionally(unavailable("the audit record waited too long"));
    return true;
  }

  /**
   * While the database is away every waiting request gets its answer at once, and the loop goes
   * slow.
   */
  private void failAllWaiting() {
    try {
      Waiting waiting = queue.poll(100, TimeUnit.MILLISECONDS);
      while (waiting != null) {
        waiting.receipt().completeExceptionally(unavailable("the audit trail is not writable"));
        waiting = queue.poll();
      }
    } catch (InterruptedException e) {
      running = false;
    }
  }

  private void makePartitions(Connection connection) throws SQLException {
    if (System.nanoTime() - nextPartitionCheck < 0) {
      return;
    }
    nextPartitionCheck = System.nanoTime() + PARTITION_CHECK.toNanos();
    try (var statement = connection.prepareStatement("SELECT audit_make_partitions(?)")) {
      statement.setInt(1, PARTITION_DAYS_AHEAD);
      statement.execute();
    }
  }

  private static RefusedException unavailable(String detail) {
    return new RefusedException(ProblemCode.AUDIT_UNAVAILABLE, detail);
  }

  /** Writes what still waits, at most for the deadline, and ends the writer. */
  @Override
  public void close() {
    running = false;
    try {
      if (!writer.join(deadline.plusSeconds(1))) {
        writer.interrupt();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    @Nullable Waiting waiting;
    while ((waiting = queue.poll()) != null) {
      waiting.receipt().completeExceptionally(unavailable("the broker is shutting down"));
    }
  }
}
