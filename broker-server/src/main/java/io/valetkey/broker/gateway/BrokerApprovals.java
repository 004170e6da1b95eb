package io.valetkey.broker.gateway;

import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.approval.ApprovalStore;
import io.valetkey.broker.approval.ApprovalWaits;
import io.valetkey.broker.approval.AskedRequest;
import io.valetkey.broker.approval.Standing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Asks the database, beside the event loops, and with few connections at a time. */
public final class BrokerApprovals implements Approvals {

  /** Of the common pool; whoever floods with requests shall not take all of it. */
  private static final int AT_A_TIME = 3;

  private static final long PATIENCE_SECONDS = 2;

  private final ApprovalStore store;
  private final ApprovalWaits waits;
  private final RateLimits limits;
  private final Semaphore turns = new Semaphore(AT_A_TIME, true);

  /** Asks this store. */
  public BrokerApprovals(ApprovalStore store, ApprovalWaits waits, RateLimits limits) {
    this.store = store;
    this.waits = waits;
    this.limits = limits;
  }

  @Override
  public CompletableFuture<Standing> ask(AskedRequest request) {
    return inTurn(() -> {
      requireRate(request.agent());
      return store.ask(request);
    });
  }

  @Override
  public CompletableFuture<ApprovalStore.Use> use(UUID id, AskedRequest request) {
    return inTurn(() -> store.use(id, request));
  }

  @Override
  public CompletableFuture<Void> decided(UUID id, Duration most) {
    return waits.decided(id, most);
  }

  @Override
  public CompletableFuture<Optional<Standing>> find(UUID id, Caller caller) {
    return inTurn(() -> {
      requireRate(caller.agent());
      return store.find(id, caller.agent(), caller.destination());
    });
  }

  private void requireRate(String agent) {
    if (!limits.takeApproval(agent)) {
      throw new RefusedException(
          ProblemCode.RATE_LIMITED, "The agent asked about approvals too often");
    }
  }

  private <T> CompletableFuture<T> inTurn(Supplier<T> work) {
    return CompletableFuture.supplyAsync(
        () -> {
          takeTurn();
          try {
            return work.get();
          } finally {
            turns.release();
          }
        },
        task -> Thread.ofVirtual().name("approval").start(task));
  }

  private void takeTurn() {
    try {
      if (turns.tryAcquire(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        return;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    throw new RefusedException(
        ProblemCode.TEMPORARILY_UNAVAILABLE, "too many questions about approvals at a time");
  }
}
