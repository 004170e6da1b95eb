package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.limit.Budget;
import io.valetkey.broker.limit.LimitUse;
import io.valetkey.broker.policy.GrantSpec;
import io.valetkey.broker.policy.PolicyStore;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.ResourceKind;
import io.valetkey.broker.policy.StoredResource;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Instant;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Answers how much of a grant's limits is used now, over all replicas, and when it comes back. */
@RestController
@Hidden
class GrantUsageController {

  private final PolicyStore store;
  private final LimitUse use;

  GrantUsageController(PolicyStore store, LimitUse use) {
    this.store = store;
    this.use = use;
  }

  @GetMapping(AdminRoutes.BASE + "/grants/{name}/usage")
  ResponseEntity<byte[]> usage(@PathVariable("name") String name, HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    if (!ResourceId.isName(name)) {
      throw notFound();
    }
    StoredResource stored =
        store
            .get(ResourceId.of(ResourceKind.GRANT, name))
            .orElseThrow(GrantUsageController::notFound);
    GrantSpec.Limits limits = ((GrantSpec) store.spec(stored)).limits();
    ObjectNode answer = JsonAnswers.object().put("grant", name);
    ObjectNode used = answer.putObject("limits");
    Integer perMinute = limits == null ? null : limits.requestsPerMinute();
    if (perMinute != null) {
      LimitUse.Requests requests = use.requests(name, perMinute);
      used.putObject("requestsPerMinute")
          .put("limit", requests.limit())
          .put("used", (int) Math.ceil(requests.used()))
          .put("left", requests.left())
          .put("fullAt", requests.fullAt().toString());
    }
    if (limits != null) {
      for (Budget budget : Budget.values()) {
        long cap = limits.caps().of(budget);
        if (cap > 0) {
          write(used.putObject(budget.field()), use.budget(name, budget, cap));
        }
      }
    }
    return JsonAnswers.ok(answer);
  }

  private static void write(ObjectNode node, LimitUse.OfBudget budget) {
    node.put("limit", budget.limit())
        .put("used", budget.used())
        .put("held", budget.held())
        .put("left", budget.left());
    Instant resetsAt = budget.resetsAt();
    if (resetsAt != null) {
      node.put("resetsAt", resetsAt.toString());
    }
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no such grant.");
  }
}
