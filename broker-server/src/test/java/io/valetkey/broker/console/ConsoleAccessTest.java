package io.valetkey.broker.console;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.Role;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.mock.web.MockHttpServletRequest;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

/** Who gets in, at which replica, with what. Invariants U3, U4, U5. */
class ConsoleAccessTest {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final String ONE = "00000000-0000-7000-8000-000000000000";
  private static RunningBroker broker;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  private static String cookie(RunningBroker at, Role... roles) {
    return at.bean(Sessions.class)
        .open(new Admin("somebody", Set.of(roles), null), Session.Via.OIDC);
  }

  private static String formToken(String cookie) {
    return new Session(new Admin("x", Set.of(), null), Session.Via.OIDC, cookie).formToken();
  }

  private static HttpResponse<String> get(RunningBroker at, String path, @Nullable String cookie)
      throws Exception {
    var request = HttpRequest.newBuilder(at.api(path));
    if (cookie != null) {
      request.header("Cookie", "valetkey-console=" + cookie);
    }
    return HTTP.send(request.build(), BodyHandlers.ofString());
  }

  private static HttpResponse<String> post(
      String path, @Nullable String cookie, @Nullable String origin, Map<String, String> fields)
      throws Exception {
    String form =
        String.join(
            "&",
            fields.entrySet().stream()
                .map(
                    f -> f.getKey() + "=" + URLEncoder.encode(f.getValue(), StandardCharsets.UTF_8))
                .toList());
    var request =
        HttpRequest.newBuilder(URI.create(broker.url() + path))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form));
    if (cookie != null) {
      request.header("Cookie", "valetkey-console=" + cookie);
    }
    if (origin != null) {
      request.header("Origin", origin);
    }
    return HTTP.send(request.build(), BodyHandlers.ofString());
  }

  @Test
  void page_namesTheRolesOfWhoeverLooks() throws Exception {
    var expected =
        Map.of(
            Set.of(Role.VIEWER), "viewer",
            Set.of(Role.APPROVER), "approver",
            Set.of(Role.OPERATOR), "operator",
            Set.of(Role.OPERATOR, Role.APPROVER), "operator, approver",
            Set.of(Role.ADMIN), "admin");
    for (var one : expected.entrySet()) {
      String cookie = cookie(broker, one.getKey().toArray(Role[]::new));
      assertThat(get(broker, ConsoleRoutes.AGENTS, cookie).body())
          .contains("<small>" + one.getValue() + "</small>");
    }
  }

  /** Every page that Spring MVC would serve is in the table, and the table alone decides. */
  @Test
  void everyRegisteredRoute_isInTheTable_andKeepsItsRole() throws Exception {
    var mappings =
        broker
            .context()
            .getBean("requestMappingHandlerMapping", RequestMappingHandlerMapping.class);
    var seen = new TreeSet<String>();
    for (var mapping : mappings.getHandlerMethods().keySet()) {
      for (String pattern : mapping.getPatternValues()) {
        if (!pattern.startsWith("/console")) {
          continue;
        }
        for (var method : mapping.getMethodsCondition().getMethods()) {
          String path = pattern.replaceAll("\\{[^}]*}", ONE);
          var route = ConsoleRoutes.find(new MockHttpServletRequest(method.name(), path));
          assertThat(route).as("%s %s is in ConsoleRoutes", method, path).isNotNull();
          seen.add(route.method() + " " + route.pattern());
          if (route.role() != null) {
            checkRoles(method.name(), path, route.role());
          }
        }
      }
    }
    assertThat(seen)
        .as("every listed route exists")
        .containsExactlyInAnyOrderElementsOf(
            ConsoleRoutes.all().stream().map(r -> r.method() + " " + r.pattern()).toList());
  }

  private static void checkRoles(String method, String path, Role needed) throws Exception {
    assertThat(status(method, path, null)).as("%s %s, nobody", method, path).isIn(302, 303);
    assertThat(status(method, path, "forged-cookie-0123456789")).isIn(302, 303);
    assertThat(status(method, path, cookie(broker)))
        .as("%s %s, no role", method, path)
        .isEqualTo(403);
    for (Role role : Role.values()) {
      int status = status(method, path, cookie(broker, role));
      String what = "%s %s as %s".formatted(method, path, role);
      if (role.includes(needed)) {
        assertThat(status).as(what).isNotIn(302, 401, 403).isLessThan(500);
      } else {
        assertThat(status).as(what).isEqualTo(403);
      }
    }
  }

  private static int status(String method, String path, @Nullable String cookie) throws Exception {
    if (method.equals("GET")) {
      return get(broker, path, cookie).statusCode();
    }
    Map<String, String> fields =
        cookie == null ? Map.of() : Map.of(ConsoleFilter.FORM_TOKEN, formToken(cookie));
    return post(path, cookie, broker.url(), fields).statusCode();
  }

  /** A form of somebody else's page changes nothing, whatever the browser sends along. */
  @Test
  void form_whenItIsNotOurs_isRefused() throws Exception {
    String cookie = cookie(broker, Role.ADMIN);
    Map<String, String> stop = Map.of("kind", "agent", "target", "bot", "reason", "r");
    Map<String, String> right =
        Map.of("kind", "agent", "target", "bot", "reason", "r", "form_token", formToken(cookie));
    Map<String, String> others =
        Map.of(
            "kind",
            "agent",
            "target",
            "bot",
            "reason",
            "r",
            "form_token",
            formToken(cookie(broker, Role.ADMIN)));
    String stops = ConsoleRoutes.STOPS;
    assertThat(post(stops, cookie, broker.url(), stop).statusCode()).isEqualTo(403);
    assertThat(post(stops, cookie, broker.url(), others).statusCode()).isEqualTo(403);
    assertThat(post(stops, cookie, "https://evil.test", right).statusCode()).isEqualTo(403);
    assertThat(post(stops, cookie, null, right).statusCode()).isEqualTo(403);
    assertThat(post(stops, null, broker.url(), right).headers().firstValue("Location"))
        .hasValueSatisfying(place -> assertThat(place).endsWith(ConsoleRoutes.SIGN_IN));
    assertThat(get(broker, stops, cookie).body()).contains("Nothing is stopped");
    HttpResponse<String> ordered = post(stops, cookie, broker.url(), right);
    assertThat(ordered.statusCode()).isEqualTo(303);
    assertThat(get(broker, stops, cookie).body()).contains("somebody").contains("bot");
  }

  @Test
  void signIn_isOverWithTheSessionEverywhere_andMakesANewOneEachTime() throws Exception {
    assertThat(
            post(
                    ConsoleRoutes.SIGN_IN,
                    null,
                    "https://evil.test",
                    Map.of("token", RunningBroker.BOOTSTRAP_TOKEN))
                .statusCode())
        .isEqualTo(403);
    assertThat(
            post(ConsoleRoutes.SIGN_IN, null, broker.url(), Map.of("token", "wrong")).statusCode())
        .isEqualTo(401);
    String planted = "planted-by-somebody-else-000000000000000000";
    HttpResponse<String> answer =
        post(
            ConsoleRoutes.SIGN_IN,
            planted,
            broker.url(),
            Map.of("token", RunningBroker.BOOTSTRAP_TOKEN, "next", "https://evil.test/"));
    assertThat(answer.headers().firstValue("Location")).hasValue(ConsoleRoutes.LIVE);
    String set = answer.headers().firstValue("Set-Cookie").orElseThrow();
    assertThat(set).contains("HttpOnly").contains("SameSite=Lax").doesNotContain(planted);
    String cookie = set.replaceAll("valetkey-console=([^;]*);.*", "$1");
    try (RunningBroker replica = broker.replica(Map.of())) {
      assertThat(get(replica, ConsoleRoutes.AGENTS, cookie).statusCode()).isEqualTo(200);
      post(
          ConsoleRoutes.SIGN_OUT,
          cookie,
          broker.url(),
          Map.of(ConsoleFilter.FORM_TOKEN, formToken(cookie)));
      assertThat(get(replica, ConsoleRoutes.AGENTS, cookie).statusCode()).isEqualTo(302);
    }
  }

  @Test
  void cookie_isNothingToTheAdminApi_andIsNotInTheDatabase() throws Exception {
    String cookie = cookie(broker, Role.ADMIN);
    assertThat(get(broker, "/admin/v1/agents", cookie).statusCode()).isEqualTo(401);
    try (var connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery("SELECT string_agg(s::text, ' ') FROM console_session s")) {
      rows.next();
      assertThat(rows.getString(1)).contains("somebody").doesNotContain(cookie);
    }
  }

  @Test
  void session_whenNobodyDoesAnything_ends() throws Exception {
    try (RunningBroker short_ = RunningBroker.start(Map.of("valetkey.console.idle", "2s"))) {
      String cookie = cookie(short_, Role.VIEWER);
      for (int i = 0; i < 8; i++) {
        Thread.sleep(400);
        var _ = get(short_, ConsoleRoutes.LIVE + "/rows", cookie);
      }
      assertThat(get(short_, ConsoleRoutes.LIVE, cookie).statusCode())
          .as("what a page does by itself keeps nobody signed in")
          .isEqualTo(302);
    }
  }

  @Test
  void pages_sayWhatABrowserMayDo() throws Exception {
    var headers = get(broker, ConsoleRoutes.SIGN_IN, null).headers();
    assertThat(headers.firstValue("Content-Security-Policy"))
        .hasValueSatisfying(policy ->
            assertThat(policy)
                .contains("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'")
                .doesNotContain("unsafe", "*"));
    assertThat(headers.firstValue("Cache-Control")).hasValue("no-store");
    assertThat(headers.firstValue("X-Content-Type-Options")).hasValue("nosniff");
    assertThat(headers.firstValue("Referrer-Policy")).isPresent();
  }
}
