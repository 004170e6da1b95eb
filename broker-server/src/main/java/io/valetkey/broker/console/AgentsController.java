package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.lease.Lease;
import io.valetkey.broker.lease.LeaseBook;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.Grant;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.Timeline;
import io.valetkey.broker.stop.StopOrder;
import io.valetkey.broker.stop.StopTarget;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.QueryTimeoutException;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** Who is there, what one agent does, and what a stop of it would end. */
@RestController
@Hidden
class AgentsController {

  private static final int PAGE = 50;
  private static final int NEWEST = 10;
  private static final Duration BACK = Duration.ofHours(1);

  private final Traffic traffic;
  private final PolicyView policy;
  private final LeaseBook leases;
  private final Timeline timeline;
  private final AuditTrailQuery trail;
  private final StopList stops;
  private final Pages pages;
  private final Clock clock;

  AgentsController(
      Traffic traffic,
      PolicyView policy,
      LeaseBook leases,
      Timeline timeline,
      AuditTrailQuery trail,
      StopList stops,
      Pages pages,
      Clock clock) {
    this.traffic = traffic;
    this.policy = policy;
    this.leases = leases;
    this.timeline = timeline;
    this.trail = trail;
    this.stops = stops;
    this.pages = pages;
    this.clock = clock;
  }

  /** One line of the timeline. */
  record Signalled(
      Instant time, String source, String sender, String action, String rule, String facts) {}

  /** Everything about one agent. */
  record View(
      Agent agent,
      List<Grant> grants,
      List<Traffic.Open> open,
      List<Lease> leases,
      List<Event> tokens,
      List<Signalled> signals,
      List<StopOrder> stops) {

    long liveLeases() {
      return leases.stream().filter(lease -> lease.endedAt() == null).count();
    }
  }

  @GetMapping(ConsoleRoutes.AGENTS)
  ResponseEntity<byte[]> list(HttpServletRequest request) {
    String text = name(request.getParameter("q"));
    List<Traffic.Listed> found =
        traffic.agents(text, name(request.getParameter("after")), PAGE + 1);
    boolean more = found.size() > PAGE;
    List<Traffic.Listed> page = found.subList(0, Math.min(PAGE, found.size()));
    return pages.page(
        "agents.jte",
        pages.frame("Agents", "agents", Session.of(request)),
        Map.of(
            "agents", page,
            "text", text,
            "next", more ? page.getLast().name() : ""));
  }

  /** What a name can hold; the rest of what was typed finds nothing anyway. */
  static String name(@Nullable String text) {
    return text == null ? "" : text.toLowerCase(java.util.Locale.ROOT).replaceAll("[^a-z0-9-]", "");
  }

  @GetMapping(ConsoleRoutes.AGENTS + "/{name}")
  ResponseEntity<byte[]> agent(@PathVariable("name") String name, HttpServletRequest request) {
    View view = view(name);
    return pages.page(
        "agent.jte",
        pages.frame(name, "agents", Session.of(request)),
        Map.of("view", view, "now", clock.instant()));
  }

  /** The part that the page asks for again and again. */
  @GetMapping(ConsoleRoutes.AGENTS + "/{name}/open")
  ResponseEntity<byte[]> open(@PathVariable("name") String name) {
    return pages.part("agentopen.jte", Map.of("open", traffic.open(existing(name).name())));
  }

  private Agent existing(String name) {
    Agent agent = ResourceId.isName(name) ? policy.current().agent(name) : null;
    if (agent == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such agent.");
    }
    return agent;
  }

  private View view(String name) {
    Agent agent = existing(name);
    List<Lease> held = leases.list(new LeaseBook.Filter(name, null, null, null, null), 2 * NEWEST);
    return new View(
        agent,
        agent.grants().stream().sorted(Comparator.comparing(Grant::destination)).toList(),
        traffic.open(name),
        held,
        tokens(name),
        timeline.page(new Timeline.Filter(name, false), NEWEST, null).entries().stream()
            .map(AgentsController::signalled)
            .toList(),
        stops.inForce(new StopTarget(StopTarget.Kind.AGENT, name)));
  }

  /** The newest tokens; none where the trail is too long to be searched while somebody waits. */
  private List<Event> tokens(String name) {
    var filter =
        new AuditTrailQuery.Filter(
            name, null, null, "token.issue", clock.instant().minus(BACK), null);
    try {
      return trail.page(filter, NEWEST, null).records().stream().map(Event::of).toList();
    } catch (QueryTimeoutException e) {
      return List.of();
    }
  }

  private static Signalled signalled(Timeline.Entry entry) {
    return new Signalled(
        entry.receivedAt(),
        entry.source(),
        entry.sender(),
        entry.received().action().word(),
        entry.rule() == null ? "" : entry.rule(),
        entry.facts().toString());
  }
}
