package io.valetkey.broker.evidence;

import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.audit.SealFeed;
import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import io.valetkey.broker.evidence.Checkpoint.Dropped;
import io.valetkey.broker.feed.Connections;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.json.JsonMapper;

/**
 * Makes a checkpoint each interval in which something was written. Every replica tries, one at a
 * time does it; all remember the youngest that they have seen, so that each notices a database that
 * has forgotten it.
 */
public final class Checkpoints implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Checkpoints.class);
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int SEALS = 500;
  private static final Duration MEASURE = Duration.ofSeconds(15);
  private static final String LOCK =
      "SELECT pg_try_advisory_xact_lock(hashtextextended('valetkey.audit.checkpoint', 0))";

  private final Connections connections;
  private final CheckpointKey key;
  private final Clock clock;
  private final @Nullable Retention retention;
  private final @Nullable String continueFrom;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("audit-checkpoint").daemon().factory());
  private @Nullable SealFeed feed;
  private volatile @Nullable CheckpointRef seen;
  private volatile Duration interval = Duration.ZERO;
  private volatile @Nullable Instant measured;
  private volatile @Nullable Instant uncovered;

  /**
   * Knows how; {@link #start} begins.
   *
   * @param key signs; if it is configured, checkpoints go on only from one that it signed
   * @param retention what drops old records; null to keep them for ever
   * @param continueFrom the hash of the checkpoint of another key from which to go on all the same;
   *     null for none
   */
  public Checkpoints(
      Connections connections,
      CheckpointKey key,
      Clock clock,
      @Nullable Retention retention,
      @Nullable String continueFrom) {
    this.connections = connections;
    this.retention = retention;
    this.continueFrom = continueFrom;
    this.key = key;
    this.clock = clock;
  }

  /** Makes one each interval from now on. */
  public void start(Duration interval) {
    this.interval = interval;
    measured = clock.instant();
    each(interval, this::tick);
    each(interval.compareTo(MEASURE) < 0 ? interval : MEASURE, this::measure);
  }

  private void each(Duration interval, Runnable task) {
    var _ =
        timer.scheduleWithFixedDelay(
            task, interval.toMillis(), interval.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** The youngest checkpoint that this replica has seen; null before the first. */
  public @Nullable CheckpointRef seen() {
    return seen;
  }

  /**
   * How long ago the oldest record without a checkpoint should have had one, in seconds; 0 if none
   * is late. A record should have one an interval after it was written. Only a checkpoint to go on
   * from counts, whatever else the table holds; while the database cannot be asked, nothing that
   * was written since the last answer is taken to have one.
   */
  public double overdueSeconds() {
    Instant since = uncovered;
    return since == null
        ? 0
        : Math.max(0, Duration.between(since.plus(interval), clock.instant()).toMillis()) / 1000.0;
  }

  private void tick() {
    try {
      make();
    } catch (SQLException | RuntimeException e) {
      log.error("The checkpoint of the audit trail has to wait: {}", e.getMessage());
    }
  }

  private void measure() {
    Instant now = clock.instant();
    try (Connection connection = connections.open()) {
      uncovered = uncovered(new EvidenceStore(connection));
      measured = now;
    } catch (SQLException | RuntimeException e) {
      if (uncovered == null) {
        uncovered = measured;
      }
      log.debug("It is not known what has no checkpoint", e);
    }
  }

  private @Nullable Instant uncovered(EvidenceStore store) throws SQLException {
    for (StoredCheckpoint stored : store.newest()) {
      Checkpoint statement = trusted(stored);
      if (statement != null) {
        return store.oldestBehind(statement.upto());
      }
    }
    return store.oldestBehind(0);
  }

  /**
   * Makes a checkpoint now, unless nothing was written since the last or another replica is at it.
   *
   * @return whether it made one
   * @throws SQLException if the database does not answer
   * @throws IllegalStateException if the last checkpoint is not one to go on from: what it says
   *     would get our signature
   */
  public synchronized boolean make() throws SQLException {
    try (Connection connection = connections.open()) {
      connection.setAutoCommit(false);
      boolean made = ours(connection) && make(connection);
      connection.commit();
      look(new EvidenceStore(connection));
      connection.commit();
      return made;
    }
  }

  private static boolean ours(Connection connection) throws SQLException {
    try (var statement = connection.prepareStatement(LOCK);
        var row = statement.executeQuery()) {
      return row.next() && row.getBoolean(1);
    }
  }

  private boolean make(Connection connection) throws SQLException {
    var store = new EvidenceStore(connection);
    StoredCheckpoint last = store.latest();
    Checkpoint before = last == null ? null : trusted(last);
    if (last != null && before == null) {
      throw new IllegalStateException(
          "checkpoint "
              + last.number()
              + " in the database, with the hash "
              + last.signed().hash()
              + ", is not signed by the key of audit.signing-key or was changed");
    }
    long after = before == null ? 0 : before.upto();
    SealFeed following = feed;
    if (following == null || following.position() != after) {
      following = new SealFeed(after, SEALS);
    }
    var digest = new SealDigest();
    List<Seal> seals = following.next(connection);
    while (!seals.isEmpty()) {
      seals.forEach(digest::add);
      seals = following.next(connection);
    }
    feed = following;
    if (digest.seals() == 0) {
      return false;
    }
    Dropped dropped = before == null ? null : before.dropped();
    if (retention != null && last != null) {
      dropped = retention.drop(connection, dropped);
    }
    store(
        connection,
        new Checkpoint(
            Checkpoint.SCHEMA,
            last == null ? 1 : last.number() + 1,
            clock.instant().truncatedTo(ChronoUnit.MILLIS),
            last == null ? null : last.signed().hash(),
            after,
            following.position(),
            digest.seals(),
            digest.records(),
            digest.finish(),
            digest.heads(),
            digest.headsComplete(),
            before == null ? store.sealedSince() : before.sealedSince(),
            dropped));
    return true;
  }

  /** What this checkpoint states, if it is one to go on from. */
  private @Nullable Checkpoint trusted(StoredCheckpoint stored) {
    SignedCheckpoint signed = stored.signed();
    return signed.isSignedBy(key.configured() ? key.publicKey() : null)
            || signed.hash().equals(continueFrom)
        ? stored.statement()
        : null;
  }

  void store(Connection connection, Checkpoint checkpoint) throws SQLException {
    try (var statement =
        connection.prepareStatement(
            "INSERT INTO audit_checkpoint (number, made_at, upto, jws) VALUES (?, ?, ?, ?)")) {
      statement.setLong(1, checkpoint.number());
      statement.setObject(2, EvidenceStore.utc(checkpoint.time()));
      statement.setLong(3, checkpoint.upto());
      statement.setString(4, key.sign(JSON.writeValueAsBytes(checkpoint)));
      statement.executeUpdate();
    }
  }

  /** Remembers the youngest, unless the database has gone back behind what is remembered. */
  private void look(EvidenceStore store) throws SQLException {
    CheckpointRef known = seen;
    StoredCheckpoint latest = store.latest();
    Checkpoint statement = latest == null ? null : trusted(latest);
    if (known != null && !store.holds(known, statement == null ? null : statement.dropped())) {
      log.error(
          "The audit trail has lost checkpoint {}: the database was replaced", known.number());
    } else if (latest != null && statement != null) {
      seen = new CheckpointRef(latest.number(), statement.time(), latest.signed().hash());
    }
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }
}
