package io.valetkey.broker.gateway;

import io.valetkey.broker.access.NeededApproval;
import io.valetkey.broker.approval.AskedRequest;
import io.valetkey.broker.approval.ShownRequest;
import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.Locale;

/** What of a request somebody is asked to approve: all of it, as it will be sent. */
final class ApprovalAsking {

  private static final String AWS_HASH = "x-amz-content-sha256";

  private ApprovalAsking() {}

  /**
   * Refuses what nobody can see before it has happened: what goes on after its beginning, and
   * bodies that are written differently each time.
   *
   * @throws RefusedException {@link ProblemCode#APPROVAL_IMPOSSIBLE}
   */
  static void requireApprovable(Guard.Accepted accepted, String method) {
    String type = accepted.fields().first("content-type");
    String hash = accepted.fields().first(AWS_HASH);
    if (method.equals(ScopeRules.WEB_SOCKET)
        || (type != null && type.toLowerCase(Locale.ROOT).startsWith("application/grpc"))
        || (hash != null && hash.startsWith("STREAMING-"))) {
      throw new RefusedException(
          ProblemCode.APPROVAL_IMPOSSIBLE,
          "a WebSocket, a call of gRPC and a body with signatures of its chunks cannot be approved");
    }
  }

  static AskedRequest of(
      Guard.Accepted accepted,
      Caller caller,
      Permissions.Permit permit,
      NeededApproval needed,
      RequestFacts facts) {
    Destination target = permit.target();
    String query = facts.sentQuery();
    RequestBody body = facts.sentBody();
    var shown =
        new ShownRequest(
            target.name(),
            accepted.method(),
            target.originWithPort(),
            accepted.path().raw() + (query == null ? "" : "?" + query),
            facts.sentHeaders(target.injection().replaced()),
            body == null ? null : body.bytes());
    return new AskedRequest(
        caller.agent(),
        caller.issuer(),
        caller.subject(),
        caller.jti(),
        needed.scope(),
        needed.grant(),
        permit.epoch(),
        needed.terms().validFor(),
        shown);
  }
}
