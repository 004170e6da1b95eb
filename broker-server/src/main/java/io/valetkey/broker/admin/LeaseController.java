package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.lease.Lease;
import io.valetkey.broker.lease.LeaseBook;
import io.valetkey.broker.lease.LeaseState;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Shows what is leased, to whom, and what is being taken back. Vault's own ids are not shown. */
@RestController
@Hidden
class LeaseController {

  private static final String ALL = AdminRoutes.BASE + "/leases";

  private final LeaseBook leases;

  LeaseController(LeaseBook leases) {
    this.leases = leases;
  }

  @GetMapping(ALL)
  ResponseEntity<byte[]> list(HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("limit", "cursor", "agent", "destination", "state");
    int limit = request.limit();
    PagePlace place = PagePlace.of(request);
    var filter =
        new LeaseBook.Filter(
            request.name("agent"),
            request.name("destination"),
            state(request.parameter("state")),
            place.time(),
            place.id());
    List<Lease> found = leases.list(filter, limit + 1);
    List<Lease> page = found.subList(0, Math.min(limit, found.size()));
    String next =
        found.size() > limit
            ? PagePlace.after(page.getLast().createdAt(), page.getLast().id())
            : null;
    return JsonAnswers.ok(
        JsonAnswers.page(page.stream().map(LeaseController::document).toList(), next));
  }

  @GetMapping(ALL + "/{id}")
  ResponseEntity<byte[]> get(@PathVariable("id") String id, HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    UUID uuid = PagePlace.id(id);
    if (uuid == null) {
      throw notFound();
    }
    return JsonAnswers.ok(document(leases.find(uuid).orElseThrow(LeaseController::notFound)));
  }

  private static @Nullable LeaseState state(@Nullable String word) {
    if (word == null) {
      return null;
    }
    for (LeaseState state : LeaseState.values()) {
      if (state.word().equals(word)) {
        return state;
      }
    }
    throw AdminRequest.invalid(
        "The state must be one of "
            + Arrays.toString(LeaseState.values()).toLowerCase(Locale.ROOT)
            + ".");
  }

  private static ObjectNode document(Lease lease) {
    ObjectNode document = JsonAnswers.object();
    document.put("id", lease.id().toString());
    document.put("state", lease.state().word());
    document.put("agent", lease.agent());
    document.put("issuer", lease.issuer());
    document.put("subject", lease.subject());
    document.put("destination", lease.destination());
    document.put("scope", lease.scope());
    document.put("engine", lease.engine().word());
    document.put("mount", lease.mount());
    document.put("role", lease.role());
    document.put("static", lease.fixed());
    document.put("jti", lease.jti());
    document.put("renewable", lease.renewable());
    document.put("revocable", lease.revocable());
    document.put("createdAt", lease.createdAt().toString());
    document.put("expiresAt", text(lease.expiresAt()));
    document.put("maxExpiresAt", lease.maxExpiresAt().toString());
    document.put("revokeRequestedAt", text(lease.revokeAt()));
    document.put("revokeReason", lease.revokeReason());
    document.put("attempts", lease.attempts());
    document.put("lastError", lease.lastError());
    return document.put("endedAt", text(lease.endedAt()));
  }

  private static @Nullable String text(@Nullable Instant time) {
    return time == null ? null : time.toString();
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no such lease.");
  }
}
