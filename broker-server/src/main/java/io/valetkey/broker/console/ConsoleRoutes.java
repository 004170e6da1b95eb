package io.valetkey.broker.console;

import io.valetkey.broker.control.Role;
import io.valetkey.broker.control.Route;
import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Every route of the console and the role that it needs. What is not listed does not exist. */
final class ConsoleRoutes {

  static final String BASE = "/console";
  static final String SIGN_IN = BASE + "/sign-in";
  static final String PROVIDER = SIGN_IN + "/provider";
  static final String CALLBACK = SIGN_IN + "/callback";
  static final String SIGN_OUT = BASE + "/sign-out";
  static final String ASSETS = BASE + "/assets";
  static final String LIVE = BASE + "/live";
  static final String DECISIONS = BASE + "/decisions";
  static final String AGENTS = BASE + "/agents";
  static final String REACH = BASE + "/reach";
  static final String DESTINATIONS = BASE + "/destinations";
  static final String APPROVALS = BASE + "/approvals";
  static final String STOPS = BASE + "/stops";
  static final String AUDIT = BASE + "/audit";
  static final String VERIFICATION = AUDIT + "/verification";

  private static final String LIVE_ROWS = LIVE + "/rows";
  private static final String AGENT_OPEN = AGENTS + "/{name}/open";
  private static final String STOP_PROGRESS = STOPS + "/{id}/progress";

  /** What a page asks by itself, which keeps nobody signed in. */
  private static final Set<String> POLLED = Set.of(LIVE_ROWS, AGENT_OPEN, STOP_PROGRESS);

  private static final List<Route> ROUTES =
      List.of(
          Route.of("GET", ASSETS + "/{version}/{file}", null),
          Route.of("GET", SIGN_IN, null),
          Route.of("POST", SIGN_IN, null),
          Route.of("GET", PROVIDER, null),
          Route.of("GET", CALLBACK, null),
          Route.of("GET", BASE, Role.VIEWER),
          Route.of("POST", SIGN_OUT, Role.SENSOR),
          Route.of("GET", LIVE, Role.VIEWER),
          Route.of("GET", LIVE_ROWS, Role.VIEWER),
          Route.of("GET", DECISIONS + "/{id}", Role.VIEWER),
          Route.of("GET", AGENTS, Role.VIEWER),
          Route.of("GET", AGENTS + "/{name}", Role.VIEWER),
          Route.of("GET", AGENT_OPEN, Role.VIEWER),
          Route.of("POST", STOPS, Role.OPERATOR),
          Route.of("GET", STOPS, Role.VIEWER),
          Route.of("GET", STOPS + "/{id}", Role.VIEWER),
          Route.of("GET", STOP_PROGRESS, Role.VIEWER),
          Route.of("POST", STOPS + "/{id}/lift", Role.OPERATOR),
          Route.of("GET", APPROVALS, Role.VIEWER),
          Route.of("GET", APPROVALS + "/{id}", Role.VIEWER),
          Route.of("POST", APPROVALS + "/{id}/approve", Role.APPROVER),
          Route.of("POST", APPROVALS + "/{id}/deny", Role.APPROVER),
          Route.of("GET", REACH, Role.VIEWER),
          Route.of("GET", DESTINATIONS, Role.VIEWER),
          Route.of("GET", DESTINATIONS + "/{name}", Role.VIEWER),
          Route.of("POST", DESTINATIONS + "/{name}/test", Role.ADMIN),
          Route.of("GET", DESTINATIONS + "/{name}/scopes", Role.ADMIN),
          Route.of("GET", DESTINATIONS + "/{name}/scopes/{scope}", Role.ADMIN),
          Route.of("POST", DESTINATIONS + "/{name}/scopes/{scope}", Role.ADMIN),
          Route.of("GET", AUDIT, Role.VIEWER),
          Route.of("GET", VERIFICATION, Role.VIEWER));

  private ConsoleRoutes() {}

  static List<Route> all() {
    return ROUTES;
  }

  /** The route of a request, or null if there is none. */
  static @Nullable Route find(HttpServletRequest request) {
    return Route.find(ROUTES, request);
  }

  /** Whether a person asks for it, and not a page by itself. */
  static boolean isByPerson(Route route) {
    return !POLLED.contains(route.pattern().getPatternString());
  }

  /** Whether something is changed by it. */
  static boolean changes(Route route) {
    return route.method().equals("POST");
  }
}
