package io.valetkey.broker.issuance;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.lease.HandedLease;
import io.valetkey.broker.lease.Lease;
import io.valetkey.broker.lease.LeaseState;
import io.valetkey.broker.lease.LeaseWish;
import io.valetkey.broker.lease.Leases;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.token.AccessToken;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * {@code /v1/leases}: dynamic credentials for the holder of an access token. Whoever holds no token
 * for a lease's agent and destination is told that there is no such lease.
 */
final class LeaseEndpoint extends HolderEndpoint {

  private static final long serialVersionUID = 1L;

  private final transient TokenHolders holders;
  private final transient Leases leases;
  private final transient Access access;
  private final transient Clock clock;

  LeaseEndpoint(
      TokenHolders holders,
      Leases leases,
      Access access,
      AuditLog auditLog,
      EndpointTelemetry telemetry,
      Clock clock) {
    super(auditLog, telemetry);
    this.clock = clock;
    this.holders = holders;
    this.leases = leases;
    this.access = access;
  }

  /** What a request is about: its path, taken apart. */
  private record Target(@Nullable UUID lease, boolean renew) {

    static @Nullable Target of(String path) {
      if (path.equals(OAuthPaths.LEASES)) {
        return new Target(null, false);
      }
      String rest = path.substring(OAuthPaths.LEASES.length() + 1);
      boolean renew = rest.endsWith("/renew");
      UUID id = id(renew ? rest.substring(0, rest.length() - "/renew".length()) : rest);
      return id == null ? null : new Target(id, renew);
    }

    private static @Nullable UUID id(String text) {
      try {
        UUID id = UUID.fromString(text);
        return id.toString().equals(text) ? id : null;
      } catch (IllegalArgumentException e) {
        return null;
      }
    }

    String methods() {
      if (lease == null || renew) {
        return "POST";
      }
      return "DELETE, GET";
    }
  }

  @Override
  String action(HttpServletRequest request) {
    return action(request.getMethod(), Target.of(request.getRequestURI()));
  }

  private static String action(String method, @Nullable Target target) {
    if (target == null || method.equals("GET")) {
      return "lease.read";
    }
    if (target.lease() == null) {
      return "lease.create";
    }
    return target.renew() ? "lease.renew" : "lease.release";
  }

  @Override
  void answer(HttpServletRequest request, HttpServletResponse response, OpenRecord record)
      throws IOException {
    Target target = Target.of(request.getRequestURI());
    AccessToken token = holders.token(request);
    record.agent(token.agent()).workload(token.issuer(), token.subject());
    record.destination(token.destination()).jti(token.jti());
    if (target == null) {
      throw notFound();
    }
    String method = request.getMethod();
    UUID id = target.lease();
    if (id == null && method.equals("POST")) {
      create(request, response, token, record);
    } else if (id != null && target.renew() && method.equals("POST")) {
      Lease renewed = leases.renew(TokenHolders.holder(token), own(id, token), record);
      JsonAnswer.send(response, 200, document(renewed));
    } else if (id != null && !target.renew() && method.equals("GET")) {
      read(response, own(id, token), token);
    } else if (id != null && !target.renew() && method.equals("DELETE")) {
      release(response, own(id, token), record);
    } else {
      response.setHeader("Allow", target.methods());
      throw new RefusedException(ProblemCode.METHOD_NOT_ALLOWED, "The method is not supported");
    }
  }

  private void create(
      HttpServletRequest request,
      HttpServletResponse response,
      AccessToken token,
      OpenRecord record)
      throws IOException {
    LeaseRequest wanted = LeaseRequest.read(request);
    HandedLease handed =
        leases.issue(
            new LeaseWish(
                TokenHolders.holder(token),
                wanted.destination(),
                wanted.scope(),
                wanted.keyFor(token),
                null),
            record);
    Map<String, Object> answer = document(handed.lease());
    answer.put("credential", handed.credential().reveal());
    response.setHeader("Location", OAuthPaths.LEASES + "/" + handed.lease().id());
    JsonAnswer.send(response, 201, answer);
  }

  private void read(HttpServletResponse response, Lease lease, AccessToken token)
      throws IOException {
    switch (access.decideKept(TokenHolders.holder(token), lease.scope())) {
      case Decision.Granted _ -> JsonAnswer.send(response, 200, document(lease));
      case Decision.Refused refused -> throw new RefusedException(refused.code(), refused.detail());
      case Decision.Undecidable no -> throw new RefusedException(no.code(), no.detail());
    }
  }

  /** Gone is 204. What is ordered to go and not yet known to be gone is 202, with its state. */
  private void release(HttpServletResponse response, Lease lease, OpenRecord record)
      throws IOException {
    record.scopes(lease.scope()).detail("lease", lease.id().toString());
    Lease now = leases.release(lease, record);
    if (now.state() == LeaseState.REVOKED) {
      response.setStatus(204);
      response.setHeader("Cache-Control", "no-store");
    } else {
      JsonAnswer.send(response, 202, document(now));
    }
  }

  private Lease own(UUID id, AccessToken token) {
    Lease lease = leases.find(id).orElseThrow(LeaseEndpoint::notFound);
    if (!lease.agent().equals(token.agent()) || !lease.destination().equals(token.destination())) {
      throw notFound();
    }
    return lease;
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "The agent has no such lease");
  }

  private Map<String, Object> document(Lease lease) {
    Map<String, Object> document = new LinkedHashMap<>();
    document.put("id", lease.id().toString());
    document.put("destination", lease.destination());
    document.put("scope", lease.scope());
    document.put("state", lease.state().word());
    document.put("expires_at", lease.expiresAt() == null ? null : lease.expiresAt().toString());
    if (lease.state() == LeaseState.ACTIVE && lease.expiresAt() != null) {
      // For agents whose clock is not ours; never later than the time above.
      Duration left = Duration.between(clock.instant(), lease.expiresAt());
      document.put("expires_in", Math.max(0, left.toSeconds()));
    }
    document.put("renewable", lease.renewable() && lease.state() == LeaseState.ACTIVE);
    return document;
  }
}
