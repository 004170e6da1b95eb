package io.valetkey.broker.admin;

import io.valetkey.broker.control.Role;
import io.valetkey.broker.policy.ResourceKind;
import jakarta.servlet.http.HttpServletRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.springframework.http.server.PathContainer;
import org.springframework.web.util.pattern.PathPattern;
import org.springframework.web.util.pattern.PathPatternParser;

/**
 * Every route of the admin API and the role that it needs. A route that is not listed here does not
 * exist, whatever is registered elsewhere.
 */
final class AdminRoutes {

  static final String BASE = "/admin/v1";
  static final String SIGNALS = BASE + "/signals";

  /**
   * One route.
   *
   * @param method the method; {@code GET} stands for {@code HEAD} as well
   * @param pattern the path
   * @param role the role that one needs; null for everybody
   */
  record Route(String method, PathPattern pattern, @Nullable Role role) {

    /** Whether this is where signals come in. */
    boolean takesSignals() {
      return pattern.getPatternString().equals(SIGNALS);
    }
  }

  private static final List<Route> ROUTES = routes();

  private AdminRoutes() {}

  private static List<Route> routes() {
    List<Route> routes = new ArrayList<>();
    for (ResourceKind kind : ResourceKind.values()) {
      String list =
          kind == ResourceKind.SCOPE
              ? BASE + "/destinations/{destination}/scopes"
              : BASE + "/" + kind.plural();
      routes.add(route("GET", list, Role.VIEWER));
      routes.add(route("GET", list + "/{name}", Role.VIEWER));
      routes.add(route("PUT", list + "/{name}", Role.ADMIN));
      routes.add(route("PATCH", list + "/{name}", Role.ADMIN));
      routes.add(route("DELETE", list + "/{name}", Role.ADMIN));
    }
    routes.add(route("POST", BASE + "/apply", Role.ADMIN));
    routes.add(route("GET", BASE + "/export", Role.VIEWER));
    routes.add(route("GET", BASE + "/schema", Role.VIEWER));
    routes.add(route("GET", BASE + "/policy-files", Role.VIEWER));
    routes.add(route("GET", BASE + "/stops", Role.VIEWER));
    routes.add(route("POST", BASE + "/stops", Role.OPERATOR));
    routes.add(route("GET", BASE + "/stops/{id}", Role.VIEWER));
    routes.add(route("DELETE", BASE + "/stops/{id}", Role.OPERATOR));
    routes.add(route("POST", KeyRotationController.ROTATIONS, Role.ADMIN));
    routes.add(route("POST", BASE + "/destinations/{name}/test", Role.ADMIN));
    routes.add(route("GET", BASE + "/leases", Role.VIEWER));
    routes.add(route("GET", BASE + "/leases/{id}", Role.VIEWER));
    routes.add(route("POST", SIGNALS, Role.SENSOR));
    routes.add(route("GET", BASE + "/activity", Role.VIEWER));
    routes.add(route("GET", BASE + "/audit", Role.VIEWER));
    routes.add(route("GET", BASE + "/audit/verification", Role.VIEWER));
    routes.add(route("GET", BASE + "/decisions/{id}", Role.VIEWER));
    routes.add(route("POST", BASE + "/decisions/explain", Role.VIEWER));
    routes.add(route("GET", BASE + "/agents/{name}/reach", Role.VIEWER));
    routes.add(route("GET", "/openapi", null));
    routes.add(route("GET", "/openapi.yaml", null));
    routes.add(route("GET", "/problems/{code}", null));
    return List.copyOf(routes);
  }

  private static Route route(String method, String pattern, @Nullable Role role) {
    return new Route(method, PathPatternParser.defaultInstance.parse(pattern), role);
  }

  /** All routes. */
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

  /** The methods that the path of a request has; empty if there is no such path. */
  static Set<String> methods(HttpServletRequest request) {
    PathContainer path = PathContainer.parsePath(request.getRequestURI());
    Set<String> methods = new TreeSet<>();
    for (Route route : ROUTES) {
      if (route.pattern().matches(path)) {
        methods.add(route.method());
        if (route.method().equals("GET")) {
          methods.add("HEAD");
        }
      }
    }
    return methods;
  }
}
