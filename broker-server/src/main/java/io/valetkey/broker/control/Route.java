package io.valetkey.broker.control;

import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.server.PathContainer;
import org.springframework.web.util.pattern.PathPattern;
import org.springframework.web.util.pattern.PathPatternParser;

/**
 * One route of a table. What is not in the table does not exist, whatever is registered elsewhere.
 *
 * @param method the method; {@code GET} stands for {@code HEAD} as well
 * @param pattern the path
 * @param role the role that one needs; null for everybody
 */
public record Route(String method, PathPattern pattern, @Nullable Role role) {

  /** A route by the pattern's text. */
  public static Route of(String method, String pattern, @Nullable Role role) {
    return new Route(method, PathPatternParser.defaultInstance.parse(pattern), role);
  }

  /** Whether this is the route with that pattern. */
  public boolean is(String text) {
    return pattern.getPatternString().equals(text);
  }

  /** The route of a request in a table, or null if there is none. */
  public static @Nullable Route find(List<Route> table, HttpServletRequest request) {
    String method = request.getMethod().equals("HEAD") ? "GET" : request.getMethod();
    PathContainer path = PathContainer.parsePath(request.getRequestURI());
    return table.stream()
        .filter(route -> route.method().equals(method) && route.pattern().matches(path))
        .findFirst()
        .orElse(null);
  }
}
