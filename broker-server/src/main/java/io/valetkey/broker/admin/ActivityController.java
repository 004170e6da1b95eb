package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.signal.Timeline;
import io.valetkey.broker.signal.Timeline.Entry;
import io.valetkey.broker.signal.Timeline.Filter;
import jakarta.servlet.http.HttpServletRequest;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Shows what was signalled, newest first. */
@RestController
@Hidden
class ActivityController {

  private final Timeline timeline;

  ActivityController(Timeline timeline) {
    this.timeline = timeline;
  }

  @GetMapping(AdminRoutes.BASE + "/activity")
  ResponseEntity<byte[]> list(HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("agent", "unmapped", "limit", "cursor");
    String agent = request.parameter("agent");
    if (agent != null && !ResourceId.isName(agent)) {
      throw AdminRequest.invalid("The filter agent must be a name that an agent can have.");
    }
    Filter filter = new Filter(agent, unmapped(request.parameter("unmapped")));
    if (filter.unmapped() && agent != null) {
      throw AdminRequest.invalid("What is unmapped is about no agent.");
    }
    Timeline.Page page = timeline.page(filter, request.limit(), request.parameter("cursor"));
    return JsonAnswers.ok(
        JsonAnswers.page(
            page.entries().stream().map(ActivityController::document).toList(), page.next()));
  }

  private static boolean unmapped(@Nullable String value) {
    if (value == null || value.equals("false")) {
      return false;
    }
    if (value.equals("true")) {
      return true;
    }
    throw AdminRequest.invalid("unmapped must be true or false.");
  }

  private static ObjectNode document(Entry entry) {
    ObjectNode document = JsonAnswers.object();
    document.put("kind", "signal");
    document.put("id", entry.received().id().toString());
    document.put("receivedAt", entry.receivedAt().toString());
    document.put("occurredAt", entry.occurredAt() == null ? null : entry.occurredAt().toString());
    document.put("source", entry.source());
    document.put("sender", entry.sender());
    document.put("issuer", entry.issuer());
    document.put("agent", entry.received().agent());
    document.put("action", entry.received().action().word());
    document.put("signalRule", entry.rule());
    document.put(
        "stop", entry.received().stop() == null ? null : entry.received().stop().toString());
    document.set("facts", entry.facts());
    return document;
  }
}
