package io.valetkey.broker;

import io.valetkey.broker.approval.ApprovalStore;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Removes what nobody needs any more: ids whose single use is over, keys whose last token has
 * ended, gateways that are gone, sessions that are over, limits of which nothing is used, pods and
 * signals that are old, and approvals that are over. Every replica does it; doing it twice does no
 * harm.
 */
final class Housekeeping implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Housekeeping.class);
  private static final Duration INTERVAL = Duration.ofMinutes(1);

  private final UsedOnce usedOnce;
  private final ApprovalStore approvals;
  private final Connections connections;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("housekeeping").daemon().factory());

  Housekeeping(UsedOnce usedOnce, ApprovalStore approvals, Connections connections) {
    this.usedOnce = usedOnce;
    this.approvals = approvals;
    this.connections = connections;
    var _ =
        timer.scheduleWithFixedDelay(
            this::clean, INTERVAL.toSeconds(), INTERVAL.toSeconds(), TimeUnit.SECONDS);
  }

  private void clean() {
    try (Connection connection = connections.open();
        var statement = connection.createStatement()) {
      usedOnce.purge();
      approvals.sweep();
      int keys = statement.executeUpdate("DELETE FROM signing_key WHERE verify_until < now()");
      statement.executeUpdate(
          "DELETE FROM gateway_replica WHERE seen_at < now() - interval '1 hour'");
      statement.executeUpdate(
          "DELETE FROM open_exchange o WHERE NOT EXISTS"
              + " (SELECT FROM gateway_replica g WHERE g.id = o.gateway)");
      // What was used of it has come back: the same as no row.
      statement.executeUpdate("DELETE FROM grant_rate WHERE at < now() - interval '3 minutes'");
      statement.executeUpdate(
          "DELETE FROM grant_budget_lease WHERE until < now() - interval '10 minutes'");
      statement.executeUpdate("DELETE FROM grant_budget WHERE at < now() - interval '2 days'");
      statement.executeUpdate("DELETE FROM console_session WHERE ends_at < now()");
      statement.executeUpdate("DELETE FROM self_test WHERE asked_at < now() - interval '1 hour'");
      // What became of a lease stays in the audit trail.
      statement.executeUpdate(
          "DELETE FROM lease WHERE id IN (SELECT id FROM lease WHERE state = 'revoked' AND ended_at"
              + " < now() - interval '7 days' ORDER BY ended_at LIMIT 5000)");
      statement.executeUpdate("DELETE FROM pod_seen WHERE seen_at < now() - interval '2 days'");
      // In bites, because the connection gives up on what takes long.
      statement.executeUpdate(
          "DELETE FROM signal WHERE id IN (SELECT id FROM signal WHERE received_at < now() -"
              + " interval '30 days' ORDER BY received_at LIMIT 5000)");
      if (keys > 0) {
        statement.execute("NOTIFY " + ChangeFeed.CHANNEL);
      }
    } catch (SQLException | RefusedException e) {
      log.warn("Cleaning up has to wait for the database: {}", e.getMessage());
    }
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }
}
