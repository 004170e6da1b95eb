package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.policy.ResourceId;
import jakarta.servlet.http.HttpServletRequest;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * What happens now. A page asks once a second, and each question is one look at the newest records
 * of the last minutes, however long the trail is.
 */
@RestController
@Hidden
class LiveController {

  private static final int ROWS = 50;
  private static final Duration BACK = Duration.ofMinutes(15);
  private static final Set<String> OUTCOMES = Set.of("granted", "refused", "failed");

  private final AuditTrailQuery trail;
  private final Pages pages;
  private final Clock clock;

  LiveController(AuditTrailQuery trail, Pages pages, Clock clock) {
    this.trail = trail;
    this.pages = pages;
    this.clock = clock;
  }

  /**
   * What somebody wants to see; empty for everything.
   *
   * @param wrong whether a filter was given that nothing can fit
   */
  record Wish(String agent, String destination, String outcome, boolean wrong) {

    static Wish of(HttpServletRequest request) {
      String agent = text(request, "agent");
      String destination = text(request, "destination");
      String outcome = text(request, "outcome");
      boolean wrong =
          (!agent.isEmpty() && !ResourceId.isName(agent))
              || (!destination.isEmpty() && !ResourceId.isName(destination))
              || (!outcome.isEmpty() && !OUTCOMES.contains(outcome));
      return new Wish(agent, destination, outcome, wrong);
    }

    private static String text(HttpServletRequest request, String name) {
      String value = request.getParameter(name);
      return value == null ? "" : value.strip();
    }

    private static String encode(String text) {
      return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    String query() {
      return "agent=%s&destination=%s&outcome=%s"
          .formatted(encode(agent), encode(destination), encode(outcome));
    }

    boolean isFiltered() {
      return !agent.isEmpty() || !destination.isEmpty() || !outcome.isEmpty();
    }

    /** The records that are meant, from this time on. */
    AuditTrailQuery.Filter from(Instant since) {
      return new AuditTrailQuery.Filter(
          orNull(agent), orNull(destination), orNull(outcome), null, since, null);
    }

    private static @Nullable String orNull(String text) {
      return text.isEmpty() ? null : text;
    }
  }

  @GetMapping(ConsoleRoutes.BASE)
  ResponseEntity<byte[]> home() {
    return Pages.to(ConsoleRoutes.LIVE);
  }

  @GetMapping(ConsoleRoutes.LIVE)
  ResponseEntity<byte[]> live(HttpServletRequest request) {
    Wish wish = Wish.of(request);
    List<Event> events = events(wish);
    return pages.page(
        "live.jte",
        pages.frame("Live", "live", Session.of(request)),
        Map.of(
            "wish",
            wish,
            "events",
            events,
            "seen",
            seen(events),
            "paused",
            "1".equals(request.getParameter("paused"))));
  }

  /** The rows, or nothing (204) if they are what the page shows already. */
  @GetMapping(ConsoleRoutes.LIVE + "/rows")
  ResponseEntity<byte[]> rows(HttpServletRequest request) {
    Wish wish = Wish.of(request);
    List<Event> events = events(wish);
    String seen = seen(events);
    if (seen.equals(request.getParameter("seen"))) {
      return ResponseEntity.noContent().build();
    }
    return pages.part("liverows.jte", Map.of("wish", wish, "events", events, "seen", seen));
  }

  private List<Event> events(Wish wish) {
    if (wish.wrong()) {
      return List.of();
    }
    AuditTrailQuery.Filter filter = wish.from(clock.instant().minus(BACK));
    return trail.page(filter, ROWS, null).records().stream().map(Event::of).toList();
  }

  /** Changes whenever what is shown changes: records only come, and the oldest go. */
  private static String seen(List<Event> events) {
    int hash = 1;
    for (Event event : events) {
      hash = 31 * hash + event.id().hashCode();
    }
    return Integer.toHexString(hash);
  }
}
