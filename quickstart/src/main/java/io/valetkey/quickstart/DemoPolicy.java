package io.valetkey.quickstart;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** What the platform engineer decides: who the agent is, what it may reach, and when that ends. */
final class DemoPolicy {

  static final String AGENT = "demo-agent";
  static final String DESTINATION = "openai";
  static final String SCOPE = "chat";
  static final String CHAT = "/v1/chat/completions";

  private static final String SCOPE_PATH = "/destinations/" + DESTINATION + "/scopes/" + SCOPE;

  private final AdminApi admin;

  DemoPolicy(AdminApi admin) {
    this.admin = admin;
  }

  /** Writes everything into an empty broker: until then nobody may do anything. */
  void setUp(DemoIssuer issuer, String origin, Map<String, String> credential) {
    admin.create(
        "/issuers/demo",
        Map.of(
            "type",
            "oidc",
            "issuer",
            DemoIssuer.URL,
            "algorithms",
            List.of("ES256"),
            "keys",
            Map.of("jwks", Map.of("keys", List.of(issuer.publicKey())))));
    admin.create(
        "/agents/" + AGENT,
        Map.of("identities", List.of(Map.of("issuer", "demo", "subject", DemoIssuer.SUBJECT))));
    admin.create(
        "/destinations/" + DESTINATION,
        Map.of("kind", "http", "origin", origin, "credential", credential));
    admin.create(SCOPE_PATH, scopeOf(CHAT));
    admin.create(
        "/grants/" + AGENT + "-" + DESTINATION,
        Map.of("agent", AGENT, "destination", DESTINATION, "scopes", List.of(SCOPE)));
  }

  /** Lets the scope allow posting to this one path and nothing else. */
  void allowOnly(String path) {
    admin.replace(SCOPE_PATH, scopeOf(path), admin.get(SCOPE_PATH).etag());
  }

  /** Ends everything that the agent can do, at once. */
  String stop(String reason) {
    JsonNode stop =
        admin.post("/stops", Map.of("target", Map.of("agent", AGENT), "reason", reason));
    return stop.path("id").asString();
  }

  /** How far a stop has come; waits a moment until every gateway says that it follows it. */
  JsonNode awaitAcknowledged(String stop) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofSeconds(2).toNanos();
    while (true) {
      JsonNode progress = admin.get("/stops/" + stop).body();
      if (progress.path("acknowledged").asBoolean(false) || System.nanoTime() > end) {
        return progress;
      }
      Thread.sleep(20);
    }
  }

  /** Takes a stop back. */
  void lift(String stop, String reason) {
    admin.delete("/stops/" + stop, Map.of("reason", reason));
  }

  /** Why a request was answered as it was. */
  JsonNode decision(String id) throws InterruptedException {
    return admin.awaitRecord("/decisions/" + id);
  }

  private static Map<String, Object> scopeOf(String path) {
    return Map.of("allow", List.of(Map.of("methods", List.of("POST"), "paths", List.of(path))));
  }
}
