package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.StopOrders;
import io.valetkey.broker.lease.LeaseBook;
import io.valetkey.broker.policy.Difference;
import io.valetkey.broker.policy.PageCursor;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.stop.GatewayCensus;
import io.valetkey.broker.stop.StopOrder;
import io.valetkey.broker.stop.StopStore;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Orders and lifts stops. It needs the database and nothing else, and no state to be read first.
 */
@RestController
@Hidden
class StopController {

  private static final String ALL = AdminRoutes.BASE + "/stops";
  private static final String ONE = ALL + "/{id}";

  private final StopOrders orders;
  private final StopStore stops;
  private final GatewayCensus gateways;
  private final LeaseBook leases;
  private final StrictJson json = new StrictJson();

  StopController(StopOrders orders, StopStore stops, GatewayCensus gateways, LeaseBook leases) {
    this.orders = orders;
    this.stops = stops;
    this.gateways = gateways;
    this.leases = leases;
  }

  @PostMapping(value = ALL, consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> order(@AuthenticationPrincipal Admin admin, HttpServletRequest http)
      throws IOException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("dryRun");
    StopRequest wish = StopRequest.read(request.body(json), stops::databaseTime);
    if (request.isDryRun()) {
      return JsonAnswers.ok(
          JsonAnswers.changes(List.of(new Difference("", null, wish.document()))));
    }
    StopOrder stop = orders.order(wish.target(), wish.reason(), wish.expiresAt(), admin);
    return JsonAnswers.answer(
        ResponseEntity.status(HttpStatus.CREATED).header("Location", ALL + "/" + stop.id()),
        document(stop));
  }

  @GetMapping(ONE)
  ResponseEntity<byte[]> get(@PathVariable("id") String id, HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    return JsonAnswers.ok(document(orders.find(id)));
  }

  @GetMapping(ALL)
  ResponseEntity<byte[]> list(HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("limit", "cursor");
    String cursor = request.parameter("cursor");
    int limit = request.limit();
    List<StopOrder> found =
        stops.list(cursor == null ? Long.MAX_VALUE : epoch(PageCursor.decode(cursor)), limit + 1);
    List<StopOrder> page = found.subList(0, Math.min(limit, found.size()));
    String next =
        found.size() > limit ? PageCursor.encode(String.valueOf(page.getLast().epoch())) : null;
    return JsonAnswers.ok(
        JsonAnswers.page(page.stream().map(StopController::summary).toList(), next));
  }

  @DeleteMapping(value = ONE, consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> lift(
      @PathVariable("id") String id, @AuthenticationPrincipal Admin admin, HttpServletRequest http)
      throws IOException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("dryRun");
    String reason = StopRequest.readReason(request.body(json));
    StopOrder stop = orders.find(id);
    if (request.isDryRun()) {
      var nodes = JsonNodeFactory.instance;
      var change =
          new Difference("/state", nodes.stringNode(stop.state()), nodes.stringNode("lifted"));
      return JsonAnswers.ok(JsonAnswers.changes(List.of(change)));
    }
    orders.lift(stop, reason, admin);
    return ResponseEntity.noContent().header("Cache-Control", "no-store").build();
  }

  private ObjectNode document(StopOrder stop) {
    ObjectNode document = summary(stop);
    GatewayCensus.Progress progress = gateways.progress(stop);
    document
        .putObject("gateways")
        .put("acknowledged", progress.acknowledged())
        .put("total", progress.total());
    document.putObject("streams").put("cut", progress.cut());
    LeaseBook.Progress out = leases.progress(stop.target(), stop.epoch(), stop.createdAt());
    document
        .putObject("leases")
        .put("revoked", out.revoked())
        .put("pending", out.pending())
        .put("irrevocable", out.irrevocable());
    return document.put("acknowledged", progress.isComplete() && out.isComplete());
  }

  /** A stop without its progress, which would be a question to the database for each of a list. */
  private static ObjectNode summary(StopOrder stop) {
    ObjectNode document = JsonAnswers.object();
    document.put("id", stop.id().toString());
    document.put("epoch", stop.epoch());
    document.set("target", StopRequest.target(stop.target()));
    document.put("reason", stop.reason());
    document.put("expiresAt", text(stop.expiresAt()));
    document.put("createdAt", stop.createdAt().toString());
    document.put("createdBy", stop.createdBy());
    document.put("state", stop.state());
    document.put("endedAt", text(stop.endedAt()));
    document.put("endedBy", stop.endedBy());
    document.put("endReason", stop.endReason());
    return document;
  }

  private static long epoch(String key) {
    if (!key.matches("[1-9][0-9]{0,17}")) {
      throw AdminRequest.invalid("The cursor is not one that an earlier page gave.");
    }
    return Long.parseLong(key);
  }

  private static @Nullable String text(@Nullable Instant time) {
    return time == null ? null : time.toString();
  }
}
