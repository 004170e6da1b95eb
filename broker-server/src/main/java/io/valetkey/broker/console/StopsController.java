package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.StopOrders;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopOrder;
import io.valetkey.broker.stop.StopTarget;
import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import java.util.Map;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Orders and lifts stops, and shows how far they are. Nothing here needs a script. */
@RestController
@Hidden
class StopsController {

  private final StopOrders orders;
  private final StopList stops;
  private final Pages pages;

  StopsController(StopOrders orders, StopList stops, Pages pages) {
    this.orders = orders;
    this.stops = stops;
    this.pages = pages;
  }

  @GetMapping(ConsoleRoutes.STOPS)
  ResponseEntity<byte[]> list(HttpServletRequest request) {
    List<StopOrder> all = stops.newest();
    return pages.page(
        "stops.jte",
        pages.frame("Stops", "stops", Session.of(request)),
        Map.of(
            "active", all.stream().filter(stop -> stop.endedAt() == null).toList(),
            "ended", all.stream().filter(stop -> stop.endedAt() != null).limit(50).toList()));
  }

  @PostMapping(ConsoleRoutes.STOPS)
  ResponseEntity<byte[]> order(HttpServletRequest request) {
    StopOrder stop =
        orders.order(target(request), FormReason.of(request), null, Session.of(request).admin());
    return Pages.to(ConsoleRoutes.STOPS + "/" + stop.id());
  }

  @GetMapping(ConsoleRoutes.STOPS + "/{id}")
  ResponseEntity<byte[]> stop(@PathVariable("id") String id, HttpServletRequest request) {
    return pages.page(
        "stop.jte",
        pages.frame("Stop", "stops", Session.of(request)),
        Map.of("progress", stops.progress(orders.find(id))));
  }

  @GetMapping(ConsoleRoutes.STOPS + "/{id}/progress")
  ResponseEntity<byte[]> progress(@PathVariable("id") String id) {
    return pages.part("stopprogress.jte", Map.of("progress", stops.progress(orders.find(id))));
  }

  @PostMapping(ConsoleRoutes.STOPS + "/{id}/lift")
  ResponseEntity<byte[]> lift(@PathVariable("id") String id, HttpServletRequest request) {
    StopOrder stop = orders.find(id);
    orders.lift(stop, FormReason.of(request), Session.of(request).admin());
    return Pages.to(ConsoleRoutes.STOPS + "/" + stop.id());
  }

  private static StopTarget target(HttpServletRequest request) {
    String kind = String.valueOf(request.getParameter("kind"));
    String value = String.valueOf(request.getParameter("target"));
    return switch (kind) {
      case "agent" -> named(StopTarget.Kind.AGENT, value);
      case "destination" -> named(StopTarget.Kind.DESTINATION, value);
      case "issuer" -> named(StopTarget.Kind.ISSUER, value);
      default -> throw invalid("A stop needs an agent, a destination or an issuer.");
    };
  }

  private static StopTarget named(StopTarget.Kind kind, String value) {
    if (!ResourceId.isName(value)) {
      throw invalid("This is not a name that one could have.");
    }
    return new StopTarget(kind, value);
  }

  private static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
  }
}
