package io.valetkey.broker.policy;

import io.valetkey.broker.feed.ChangeFeed;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import javax.sql.DataSource;
import org.springframework.jdbc.core.ConnectionCallback;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * The changes of the policy in the order of their commits. Every writer holds one lock from before
 * it takes a number until it has committed, so a reader that has seen a number never misses a
 * smaller one.
 */
public final class ChangeLog {

  private static final long WRITERS = 0x76616c65746b6579L;

  private final JdbcTemplate template;
  private final JdbcClient jdbc;
  private final ChangeRecorder recorder;

  /**
   * Makes a log.
   *
   * @param recorder keeps each change in the audit trail, in the change's own transaction
   */
  public ChangeLog(DataSource dataSource, ChangeRecorder recorder) {
    this.template = new JdbcTemplate(dataSource);
    this.jdbc = JdbcClient.create(template);
    this.recorder = recorder;
  }

  /** The changes behind a place in the log, in their order, at most {@code limit}. */
  public List<LoggedChange> changesSince(long id, int limit) {
    return jdbc.sql("SELECT id, kind, name FROM change_log WHERE id > ? ORDER BY id LIMIT ?")
        .params(id, limit)
        .query(
            (row, number) -> new LoggedChange(row.getLong(1), row.getString(2), row.getString(3)))
        .list();
  }

  /** The last place in the log, 0 if nothing has ever changed. */
  public long lastChange() {
    return jdbc.sql("SELECT coalesce(max(id), 0) FROM change_log").query(Long.class).single();
  }

  /** Waits until no other writer is left; the lock ends with the transaction. */
  void lock() {
    jdbc.sql("SELECT pg_advisory_xact_lock(?)")
        .param(WRITERS)
        .query((row, number) -> number)
        .list();
  }

  /** The number of the next change; the lock must be held. */
  long next() {
    return jdbc.sql("SELECT nextval('change_log_id')").query(Long.class).single();
  }

  /** Appends, records and announces a change within its transaction. */
  void append(Change change) {
    append(List.of(change), connection -> recorder.record(connection, change));
  }

  /**
   * Appends, records and announces changes that are made together.
   *
   * @param also recorded besides
   */
  void appendAll(List<Change> changes, Recording also) {
    append(
        changes,
        connection -> {
          if (!changes.isEmpty()) {
            recorder.recordAll(connection, changes);
          }
          also.record(connection);
        });
  }

  /** Writes records in a transaction. */
  interface Recording {
    void record(Connection transaction) throws SQLException;
  }

  private void append(List<Change> changes, Recording recording) {
    jdbc.sql(
            "INSERT INTO change_log (id, kind, name)"
                + " SELECT * FROM unnest(?::bigint[], ?::text[], ?::text[])")
        .params(
            changes.stream().map(Change::number).toArray(Long[]::new),
            changes.stream().map(c -> c.id().kind().singular()).toArray(String[]::new),
            changes.stream().map(c -> c.id().qualifiedName()).toArray(String[]::new))
        .update();
    template.execute(
        (ConnectionCallback<Boolean>)
            connection -> {
              recording.record(connection);
              return true;
            });
    jdbc.sql("SELECT pg_notify(?, '')")
        .param(ChangeFeed.CHANNEL)
        .query((row, number) -> number)
        .list();
  }
}
