package io.valetkey.broker.gateway;

import io.valetkey.broker.approval.ApprovalStore;
import io.valetkey.broker.approval.AskedRequest;
import io.valetkey.broker.approval.Standing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * What people have said about requests. Nothing here blocks; what fails, fails with a {@link
 * RefusedException}, of {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if nobody can tell.
 */
public interface Approvals {

  /** How it stands with this request; asks for an approval if nobody did. */
  CompletableFuture<Standing> ask(AskedRequest request);

  /** Uses an approval up, once. */
  CompletableFuture<ApprovalStore.Use> use(UUID id, AskedRequest request);

  /** Completes when there is a decision, at the latest after this time; may be cancelled. */
  CompletableFuture<Void> decided(UUID id, Duration most);

  /** How it stands with an approval of this caller, for the destination of its token. */
  CompletableFuture<Optional<Standing>> find(UUID id, Caller caller);
}
