package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.Grant;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.PolicyView;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Which agent may go where, and what of it is not used. */
@RestController
@Hidden
class ReachPage {

  private static final int AGENTS = 50;

  private final Traffic traffic;
  private final PolicyView policy;
  private final Pages pages;
  private final Clock clock;

  ReachPage(Traffic traffic, PolicyView policy, Pages pages, Clock clock) {
    this.traffic = traffic;
    this.policy = policy;
    this.pages = pages;
    this.clock = clock;
  }

  /** One agent at one destination; without a last use it was never used. */
  record Cell(String agent, String destination, String scopes, @Nullable Instant lastUse) {}

  @GetMapping(ConsoleRoutes.REACH)
  ResponseEntity<byte[]> reach(HttpServletRequest request) {
    String text = AgentsController.name(request.getParameter("q"));
    String after = AgentsController.name(request.getParameter("after"));
    List<Traffic.Listed> found = traffic.agents(text, after, AGENTS + 1);
    List<String> names = found.stream().limit(AGENTS).map(Traffic.Listed::name).toList();
    return pages.page(
        "reach.jte",
        pages.frame("Reach", "reach", Session.of(request)),
        Map.of(
            "cells",
            cells(names),
            "text",
            text,
            "now",
            clock.instant(),
            "next",
            found.size() > AGENTS ? names.getLast() : ""));
  }

  private List<Cell> cells(List<String> names) {
    PolicySnapshot snapshot = policy.current();
    Map<Traffic.Use, Instant> uses = traffic.lastUses(names);
    List<Cell> cells = new ArrayList<>();
    for (String name : names) {
      Agent agent = snapshot.agent(name);
      List<Grant> grants = agent == null ? List.of() : agent.grants();
      grants.stream()
          .sorted(Comparator.comparing(Grant::destination))
          .forEach(grant ->
              cells.add(
                  new Cell(
                      name,
                      grant.destination(),
                      String.join(" ", grant.scopes()),
                      uses.get(new Traffic.Use(name, grant.destination())))));
    }
    return cells;
  }
}
