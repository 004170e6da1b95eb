package io.valetkey.broker.approval;

import io.valetkey.broker.feed.ChangeFeed;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/**
 * Requests that are kept waiting until somebody decides. No thread waits: the feed of changes says
 * when there is something to look at, and then one question is asked for all of them.
 */
public final class ApprovalWaits implements ChangeFeed.Subscriber {

  /** Each has its request, with a body, in memory. */
  private static final int MOST = 500;

  private record Wait(UUID id, CompletableFuture<Void> decided) {}

  private final Set<Wait> waits = ConcurrentHashMap.newKeySet();

  /** Makes one that nobody waits at. */
  public ApprovalWaits() {}

  /**
   * Waits for a decision. Who does not want to wait any more cancels what this returns.
   *
   * @return completes when there is one, after this time, or at once if too many wait already; on
   *     any thread
   */
  public CompletableFuture<Void> decided(UUID id, Duration most) {
    var decided = new CompletableFuture<Void>();
    if (waits.size() >= MOST) {
      decided.complete(null);
      return decided;
    }
    Wait wait = new Wait(id, decided);
    waits.add(wait);
    var _ = decided.whenComplete((done, cancelled) -> waits.remove(wait));
    return decided.completeOnTimeout(null, most.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    List<Wait> waiting = new ArrayList<>(waits);
    if (waiting.isEmpty()) {
      return;
    }
    Set<UUID> pending = ConcurrentHashMap.newKeySet();
    try (PreparedStatement statement =
        connection.prepareStatement(
            "SELECT a.id FROM approval a WHERE a.id = ANY (?) AND a.state = 'pending' AND"
                + " approval_stands(a)")) {
      statement.setArray(
          1,
          connection.createArrayOf(
              "uuid", waiting.stream().map(Wait::id).distinct().toArray(UUID[]::new)));
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          pending.add(rows.getObject(1, UUID.class));
        }
      }
    }
    for (Wait wait : waiting) {
      if (!pending.contains(wait.id())) {
        wait.decided().complete(null);
      }
    }
  }

  /** How many wait. */
  public int size() {
    return waits.size();
  }
}
