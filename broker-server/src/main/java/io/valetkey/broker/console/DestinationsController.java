package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.PolicyStore;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.ResourceKind;
import io.valetkey.broker.policy.StoredResource;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** Where agents may go. */
@RestController
@Hidden
class DestinationsController {

  private final PolicyView policy;
  private final PolicyStore store;
  private final Pages pages;

  DestinationsController(PolicyView policy, PolicyStore store, Pages pages) {
    this.policy = policy;
    this.store = store;
    this.pages = pages;
  }

  @GetMapping(ConsoleRoutes.DESTINATIONS)
  ResponseEntity<byte[]> list(HttpServletRequest request) {
    List<Destination> all =
        policy.current().destinations().stream()
            .sorted(Comparator.comparing(Destination::name))
            .toList();
    return pages.page(
        "destinations.jte",
        pages.frame("Destinations", "destinations", Session.of(request)),
        Map.of("destinations", all));
  }

  @GetMapping(ConsoleRoutes.DESTINATIONS + "/{name}")
  ResponseEntity<byte[]> destination(
      @PathVariable("name") String name, HttpServletRequest request) {
    if (!ResourceId.isName(name)) {
      throw notFound();
    }
    StoredResource stored =
        store
            .get(ResourceId.of(ResourceKind.DESTINATION, name))
            .orElseThrow(DestinationsController::notFound);
    return pages.page(
        "destination.jte",
        pages.frame(name, "destinations", Session.of(request)),
        Map.of(
            "destination",
            stored,
            "scopes",
            store.page(ResourceKind.SCOPE, name, PolicyStore.MAX_PAGE, null).items()));
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no such destination.");
  }
}
