package io.valetkey.broker.admin;

import io.valetkey.broker.control.Role;
import io.valetkey.broker.control.Route;
import io.valetkey.broker.policy.ResourceKind;
import jakarta.servlet.http.HttpServletRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.springframework.http.server.PathContainer;

/**
 * Every route of the admin API and the role that it needs. A route that is not listed here does not
 * exist, whatever is registered elsewhere.
 */
final class AdminRoutes {

  static final String BASE = "/admin/v1";
  static final String SIGNALS = BASE + "/signals";

  private static final List<Route> ROUTES = routes();

  private AdminRoutes() {}

  private static List<Route> routes() {
    List<Route> routes = new ArrayList<>();
    for (ResourceKind kind : ResourceKind.values()) {
      String list =
          kind == ResourceKind.SCOPE
              ? BASE + "/destinations/{destination}/scopes"
              : BASE + "/" + kind.plural();
      routes.add(Route.of("GET", list, Role.VIEWER));
      routes.add(Route.of("GET", list + "/{name}", Role.VIEWER));
      routes.add(Route.of("PUT", list + "/{name}", Role.ADMIN));
      routes.add(Route.of("PATCH", list + "/{name}", Role.ADMIN));
      routes.add(Route.of("DELETE", list + "/{name}", Role.ADMIN));
    }
    routes.add(Route.of("POST", BASE + "/apply", Role.ADMIN));
    routes.add(Route.of("GET", BASE + "/export", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/schema", Role.VIEWER));
    routes.add(Route.of("GET", DestinationTemplateController.TEMPLATES, Role.VIEWER));
    routes.add(Route.of("GET", DestinationTemplateController.TEMPLATES + "/{name}", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/policy-files", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/stops", Role.VIEWER));
    routes.add(Route.of("POST", BASE + "/stops", Role.OPERATOR));
    routes.add(Route.of("GET", BASE + "/stops/{id}", Role.VIEWER));
    routes.add(Route.of("DELETE", BASE + "/stops/{id}", Role.OPERATOR));
    routes.add(Route.of("POST", KeyRotationController.ROTATIONS, Role.ADMIN));
    routes.add(Route.of("POST", BASE + "/destinations/{name}/test", Role.ADMIN));
    routes.add(Route.of("GET", BASE + "/leases", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/leases/{id}", Role.VIEWER));
    routes.add(Route.of("GET", ApprovalController.ALL, Role.VIEWER));
    routes.add(Route.of("GET", ApprovalController.ONE, Role.VIEWER));
    routes.add(Route.of("POST", ApprovalController.ONE + "/approve", Role.APPROVER));
    routes.add(Route.of("POST", ApprovalController.ONE + "/deny", Role.APPROVER));
    routes.add(Route.of("POST", SIGNALS, Role.SENSOR));
    routes.add(Route.of("GET", BASE + "/activity", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/audit", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/audit/verification", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/decisions/{id}", Role.VIEWER));
    routes.add(Route.of("POST", BASE + "/decisions/explain", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/agents/{name}/reach", Role.VIEWER));
    routes.add(Route.of("GET", BASE + "/grants/{name}/usage", Role.VIEWER));
    routes.add(Route.of("GET", "/openapi", null));
    routes.add(Route.of("GET", "/openapi.yaml", null));
    routes.add(Route.of("GET", "/problems/{code}", null));
    return List.copyOf(routes);
  }

  /** All routes. */
  static List<Route> all() {
    return ROUTES;
  }

  /** The route of a request, or null if there is none. */
  static @Nullable Route find(HttpServletRequest request) {
    return Route.find(ROUTES, request);
  }

  /** Whether this is where signals come in. */
  static boolean takesSignals(@Nullable Route route) {
    return route != null && route.is(SIGNALS);
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
