package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.admin.AdminClient.Answer;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.control.Route;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

class AdminAccessTest {

  private static final String AUDIENCE = "valetkey-admin";
  private static ECKey key;
  private static HttpServer provider;
  private static String issuer;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    key = new ECKeyGenerator(Curve.P_256).keyID("k1").generate();
    provider = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    issuer = "http://127.0.0.1:" + provider.getAddress().getPort();
    serve(
        "/.well-known/openid-configuration",
        "{\"issuer\": \"%s\", \"jwks_uri\": \"%s/jwks\", \"subject_types_supported\": [\"public\"]}"
            .formatted(issuer, issuer));
    serve("/jwks", "{\"keys\": [" + key.toPublicJWK().toJSONString() + "]}");
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.admin.oidc.issuer", issuer,
                "valetkey.admin.oidc.audience", AUDIENCE,
                "valetkey.admin.oidc.roles-claim", "realm.roles"));
    // The broker started although its admins' provider was not there yet.
    provider.start();
  }

  @AfterAll
  static void stop() {
    broker.close();
    provider.stop(0);
  }

  /** Every route that Spring MVC would serve is in the table, and the table alone decides. */
  @Test
  void everyRegisteredRoute_isInTheTable_andKeepsItsRole() throws Exception {
    var mappings =
        broker
            .context()
            .getBean("requestMappingHandlerMapping", RequestMappingHandlerMapping.class);
    var seen = new TreeSet<String>();
    for (var mapping : mappings.getHandlerMethods().keySet()) {
      for (String pattern : mapping.getPatternValues()) {
        if (pattern.equals("/error") || pattern.startsWith("/console")) {
          continue;
        }
        var methods = mapping.getMethodsCondition().getMethods();
        assertThat(methods).as("%s names its methods", pattern).isNotEmpty();
        for (var method : methods) {
          for (String path : paths(pattern)) {
            Route route = routeOf(method.name(), path);
            assertThat(route).as("%s %s is in AdminRoutes", method, path).isNotNull();
            seen.add(route.method() + " " + route.pattern());
            checkRoles(method.name(), path, route.role());
          }
        }
      }
    }
    assertThat(seen)
        .as("every listed route exists")
        .containsExactlyInAnyOrderElementsOf(
            AdminRoutes.all().stream().map(r -> r.method() + " " + r.pattern()).toList());
  }

  @Test
  void refusedRequests_leaveARecordEach_andQuestionsThatFindNothingDoNot() throws Exception {
    String nobody = "/admin/v1/agents/nobody-asked-" + System.nanoTime();
    status(null, "GET", nobody);
    status(token(claims("viewer").build()), "PUT", nobody);
    status(token(claims("viewer").build()), "GET", nobody);
    String sql =
        "SELECT string_agg(reason, ' ' ORDER BY seq) FROM audit_record"
            + " WHERE action = 'admin.request' AND details->>'path' = ?";
    String reasons = "";
    for (int i = 0; i < 100 && !reasons.contains(" "); i++) {
      Thread.sleep(20);
      try (var connection = broker.database();
          var statement = connection.prepareStatement(sql)) {
        statement.setString(1, nobody);
        try (var rows = statement.executeQuery()) {
          rows.next();
          reasons = String.valueOf(rows.getString(1));
        }
      }
    }
    assertThat(reasons).isEqualTo("unauthorized forbidden");
  }

  private static void checkRoles(String method, String path, @Nullable Role needed)
      throws Exception {
    if (needed == null) {
      assertThat(status(null, method, path)).as(path).isIn(200, 404);
      return;
    }
    assertThat(status(null, method, path)).as("%s %s, nobody", method, path).isEqualTo(401);
    assertThat(status(agentLikeToken(), method, path)).as("agent").isEqualTo(401);
    assertThat(status(token(claims("none").build()), method, path)).as("no role").isEqualTo(403);
    for (Role role : Role.values()) {
      int status = status(token(claims(role.name().toLowerCase()).build()), method, path);
      String what = "%s %s as %s".formatted(method, path, role);
      if (role.includes(needed)) {
        assertThat(status).as(what).isNotIn(401, 403).isLessThan(500);
      } else {
        assertThat(status).as(what).isEqualTo(403);
      }
    }
  }

  private static List<String> paths(String pattern) {
    String one = "00000000-0000-7000-8000-000000000000";
    Stream<String> kinds =
        pattern.contains("{kind:")
            ? Stream.of("issuers", "agents", "destinations", "grants", "signal-rules")
            : Stream.of("");
    return kinds
        .map(kind -> pattern.replaceAll("\\{kind:[^}]*}", kind).replaceAll("\\{[^}]*}", one))
        .toList();
  }

  private static @Nullable Route routeOf(String method, String path) {
    var request = new org.springframework.mock.web.MockHttpServletRequest(method, path);
    return AdminRoutes.find(request);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"/", "/admin", "/admin/v1", "/admin/v1/nothing", "/error", "/actuator/health"})
  void unlistedPath_isNothingForAnybody(String path) {
    assertThat(status(null, "GET", path)).isIn(401, 404);
    assertThat(status(RunningBroker.BOOTSTRAP_TOKEN, "GET", path)).isEqualTo(404);
  }

  @Test
  void token_whenAnythingIsWrongWithIt_isRefused() throws Exception {
    Instant now = Instant.now();
    assertThat(list(token(claims("viewer").build()))).isEqualTo(200);
    assertThat(list(token(claims("viewer").issuer("https://other.test").build()))).isEqualTo(401);
    assertThat(list(token(claims("viewer").audience("other").build()))).isEqualTo(401);
    assertThat(list(token(claims("viewer").audience((String) null).build()))).isEqualTo(401);
    assertThat(list(token(claims("viewer").subject(null).build()))).isEqualTo(401);
    assertThat(list(token(claims("viewer").expirationTime(null).build()))).isEqualTo(401);
    assertThat(
            list(token(claims("viewer").expirationTime(Date.from(now.minusSeconds(10))).build())))
        .isEqualTo(401);
    assertThat(list(token(claims("viewer").notBeforeTime(Date.from(now.plusSeconds(60))).build())))
        .isEqualTo(401);
    assertThat(list(new PlainJWT(claims("admin").build()).serialize())).isEqualTo(401);
    var mac = new SignedJWT(new JWSHeader(JWSAlgorithm.HS256), claims("admin").build());
    mac.sign(new MACSigner(key.toPublicJWK().toJSONString().getBytes(StandardCharsets.UTF_8)));
    assertThat(list(mac.serialize())).isEqualTo(401);
    ECKey other = new ECKeyGenerator(Curve.P_256).keyID("k1").generate();
    assertThat(list(token(claims("admin").build(), other))).isEqualTo(401);
  }

  @Test
  void token_withSeveralRoles_mayDoWhatEachOfThemMay() throws Exception {
    String both =
        token(claims("none").claim("realm", Map.of("roles", List.of("viewer", "sensor"))).build());
    assertThat(list(both)).isEqualTo(200);
    assertThat(status(both, "POST", "/admin/v1/signals"))
        .as("malformed, and not forbidden")
        .isEqualTo(400);
    assertThat(status(both, "POST", "/admin/v1/stops")).isEqualTo(403);
    String sensor = token(claims("sensor").build());
    assertThat(list(sensor)).isEqualTo(403);
  }

  @Test
  void token_isAcceptedInTheHeaderOnly() {
    String token = RunningBroker.BOOTSTRAP_TOKEN;
    assertThat(status(null, "GET", "/admin/v1/agents?access_token=" + token)).isEqualTo(401);
    Answer basic = raw("Authorization", "Basic " + token);
    assertThat(basic.status()).isEqualTo(401);
    Answer several =
        AdminClient.exchange(
            HttpRequest.newBuilder(URI.create(broker.url() + "/admin/v1/agents"))
                .header("Authorization", "Bearer " + token)
                .header("Authorization", "Bearer " + token)
                .build());
    assertThat(several.status()).isEqualTo(401);
    assertThat(raw("Authorization", "Bearer x" + token).response().body()).doesNotContain(token);
    Answer nobody = raw("X-Nothing", "1");
    assertThat(nobody.header("WWW-Authenticate")).isEqualTo("Bearer");
    assertThat(nobody.code()).isEqualTo("unauthorized");
  }

  @Test
  void management_showsHealthAndMetricsOnly() {
    for (String path : List.of("/actuator/health/readiness", "/actuator/prometheus")) {
      assertThat(management(path)).as(path).isEqualTo(200);
    }
    for (String path : List.of("/actuator/env", "/actuator/heapdump", "/admin/v1/agents")) {
      assertThat(management(path)).as(path).isIn(401, 404);
    }
  }

  private static int management(String path) {
    return AdminClient.exchange(
            HttpRequest.newBuilder(URI.create(broker.managementUrl() + path)).build())
        .status();
  }

  private static Answer raw(String header, String value) {
    return AdminClient.exchange(
        HttpRequest.newBuilder(URI.create(broker.url() + "/admin/v1/agents"))
            .header(header, value)
            .build());
  }

  private static int list(String token) {
    return status(token, "GET", "/admin/v1/agents");
  }

  private static int status(@Nullable String token, String method, String path) {
    String body = List.of("PUT", "PATCH", "POST").contains(method) ? "{}" : null;
    return new AdminClient(broker.url(), token).send(method, path, body).status();
  }

  private static JWTClaimsSet.Builder claims(String role) {
    return new JWTClaimsSet.Builder()
        .issuer(issuer)
        .audience(AUDIENCE)
        .subject("alice")
        .claim("realm", Map.of("roles", List.of("other", role)))
        .issueTime(new Date())
        .expirationTime(Date.from(Instant.now().plusSeconds(60)));
  }

  /** What our own token endpoint could have issued: another issuer, another audience. */
  private static String agentLikeToken() throws JOSEException {
    return token(
        claims("admin").issuer(broker.url()).audience(broker.gatewayUrl() + "/d/openai").build());
  }

  private static String token(JWTClaimsSet claims) throws JOSEException {
    return token(claims, key);
  }

  private static String token(JWTClaimsSet claims, ECKey signer) throws JOSEException {
    var jwt = new SignedJWT(new JWSHeader.Builder(JWSAlgorithm.ES256).keyID("k1").build(), claims);
    jwt.sign(new ECDSASigner(signer));
    return jwt.serialize();
  }

  private static void serve(String path, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    provider.createContext(
        path,
        exchange -> {
          exchange.getResponseHeaders().set("Content-Type", "application/json");
          try (var out = exchange.getResponseBody()) {
            exchange.sendResponseHeaders(200, bytes.length);
            out.write(bytes);
          } catch (IOException e) {
            exchange.close();
          }
        });
  }
}
