package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * Tells an agent how it stands with an approval of its own. It is the one path of the gateway that
 * leads nowhere else, and takes the token that the request itself came with.
 */
final class ApprovalPoll {

  private final Permissions permissions;
  private final Approvals approvals;
  private final LiveExchanges live;
  private final GatewaySettings settings;
  private final Clock clock;

  ApprovalPoll(
      Permissions permissions,
      Approvals approvals,
      LiveExchanges live,
      GatewaySettings settings,
      Clock clock) {
    this.permissions = permissions;
    this.approvals = approvals;
    this.live = live;
    this.settings = settings;
    this.clock = clock;
  }

  /** Whether this is asked for: at our own address, not at that of a destination. */
  boolean isMeant(Entrance entrance, Guard.Head head) {
    return entrance.way() == Way.BASE_URL && head.target().startsWith(ApprovalNotice.PREFIX);
  }

  /**
   * Answers.
   *
   * @return fails with a {@link RefusedException}, as a request to a destination would; {@link
   *     ProblemCode#NOT_FOUND} for what is somebody else's
   */
  CompletableFuture<ApprovalNotice> standing(
      Entrance entrance, PeerCertificate peer, Guard.Head head, Exchange exchange) {
    try {
      Guard.checkAllButTarget(head);
      String token = Objects.requireNonNull(entrance.token(head.fields()));
      Caller caller = permissions.verify(token);
      exchange.entry().caller(caller);
      exchange.live(live.add(caller, clock.instant(), exchange::end));
      var possession =
          new Permissions.Possession(
              entrance.announcesProof(head.fields()),
              head.fields().all("dpop"),
              head.method(),
              settings.publicUrl() + head.target(),
              peer::thumbprint);
      return permissions
          .prove(token, caller, possession)
          .thenCompose(proven -> {
            // What is asked here is whether the agent may still do anything there.
            var _ = permissions.authoriseInterception(caller, caller.destination());
            return find(head, caller);
          });
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private CompletableFuture<ApprovalNotice> find(Guard.Head head, Caller caller) {
    UUID id = ApprovalNotice.id(head.target());
    if (id == null) {
      throw notFound();
    }
    if (!head.method().equals("GET")) {
      throw new RefusedException(ProblemCode.METHOD_NOT_ALLOWED, "an approval can be read only");
    }
    return approvals
        .find(id, caller)
        .thenApply(
            standing -> ApprovalNotice.of(standing.orElseThrow(ApprovalPoll::notFound), settings));
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "the agent has no such approval here");
  }
}
