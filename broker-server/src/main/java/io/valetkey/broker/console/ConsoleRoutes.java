package io.valetkey.broker.console;

import io.valetkey.broker.control.Role;
import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.server.PathContainer;
import org.springframework.web.util.pattern.PathPattern;
import org.springframework.web.util.pattern.PathPatternParser;

/** Every route of the console and the role that it needs. What is not listed does not exist. */
final class ConsoleRoutes {

  static final String BASE = "/console";
  static final String SIGN_IN = BASE + "/sign-in";
  static final String SIGN_OUT = BASE + "/sign-out";
  static final String ASSETS = BASE + "/assets";
  static final String LIVE = BASE + "/live";
  static final String DECISIONS = BASE + "/decisions";
  static final String AGENTS = BASE + "/agents";
  static final String REACH = BASE + "/reach";
  static final String DESTINATIONS = BASE + "/destinations";
  static final String STOPS = BASE + "/stops";
  static final String AUDIT = BASE + "/audit";
  static final String VERIFICATION = AUDIT + "/verification";

  /**
   * One route.
   *
   * @param method the method; {@code GET} stands for {@code HEAD} as well
   * @param pattern the path
   * @param role the role that one needs; null for everybody
   * @param byPerson false for what a page asks by itself
   */
  record Route(String method, PathPattern pattern, @Nullable Role role, boolean byPerson) {
    boolean changes() {
      return method.equals("POST");
    }
  }

  private static final List<Route> ROUTES =
      List.of(
          route("GET", ASSETS + "/{version}/{file}", null),
          route("GET", SIGN_IN, null),
          route("POST", SIGN_IN, null),
          route("GET", BASE, Role.VIEWER),
          route("POST", SIGN_OUT, Role.SENSOR),
          route("GET", LIVE, Role.VIEWER),
          polled(LIVE + "/rows"),
          route("GET", DECISIONS + "/{id}", Role.VIEWER),
          route("GET", AGENTS, Role.VIEWER),
          route("GET", AGENTS + "/{name}", Role.VIEWER),
          polled(AGENTS + "/{name}/open"),
          route("POST", STOPS, Role.OPERATOR),
          route("GET", STOPS, Role.VIEWER),
          route("GET", STOPS + "/{id}", Role.VIEWER),
          polled(STOPS + "/{id}/progress"),
          route("POST", STOPS + "/{id}/lift", Role.OPERATOR),
          route("GET", REACH, Role.VIEWER),
          route("GET", DESTINATIONS, Role.VIEWER),
          route("GET", DESTINATIONS + "/{name}", Role.VIEWER),
          route("POST", DESTINATIONS + "/{name}/test", Role.ADMIN),
          route("GET", DESTINATIONS + "/{name}/scopes", Role.ADMIN),
          route("GET", DESTINATIONS + "/{name}/scopes/{scope}", Role.ADMIN),
          route("POST", DESTINATIONS + "/{name}/scopes/{scope}", Role.ADMIN),
          route("GET", AUDIT, Role.VIEWER),
          route("GET", VERIFICATION, Role.VIEWER));

  private ConsoleRoutes() {}

  private static Route route(String method, String pattern, @Nullable Role role) {
    return new Route(method, PathPatternParser.defaultInstance.parse(pattern), role, true);
  }

  private static Route polled(String pattern) {
    return new Route("GET", PathPatternParser.defaultInstance.parse(pattern), Role.VIEWER, false);
  }

  static List<Route> all() {
    return ROUTES;
  }

  /** The route of a request, or null if there is none. */
  static @Nullable Route find(HttpServletRequest request) {
    String method = request.getMethod().equals("HEAD") ? "GET" : request.getMethod();
    PathContainer path = PathContainer.parsePath(request.getRequestURI());
    return ROUTES.stream()
        .filter(route -> route.method().equals(method) && route.pattern().matches(path))
        .findFirst()
        .orElse(null);
  }
}
