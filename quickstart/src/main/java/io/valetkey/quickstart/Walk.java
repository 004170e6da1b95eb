package io.valetkey.quickstart;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * One way through the product, each step observed where it happens: the agent's side in the agent's
 * process, what arrived at the upstream, what the broker recorded.
 */
final class Walk {

  /** A change has to be felt within this time (promise P2: never over 2 s). */
  private static final long BOUND_MILLIS = 2000;

  private final Ledger ledger;
  private final AgentProcess agent;
  private final Map<String, String> environment;
  private final DemoUpstream upstream;
  private final UpstreamKey key;
  private final DemoPolicy policy;

  Walk(
      Ledger ledger,
      AgentProcess agent,
      Map<String, String> environment,
      DemoUpstream upstream,
      UpstreamKey key,
      DemoPolicy policy) {
    this.ledger = ledger;
    this.agent = agent;
    this.environment = environment;
    this.upstream = upstream;
    this.key = key;
    this.policy = policy;
  }

  void run() throws InterruptedException {
    ledger.step("The agent's process holds no key.", this::noKey);
    ledger.step("It proves who it is and gets a token.", this::token);
    ledger.step("It asks the model, and the upstream gets the real key.", this::chat);
    ledger.step("It streams an answer.", this::stream);
    ledger.step("It tries GET /v1/models, which nobody allowed.", this::forbidden);
    ledger.step("The platform engineer takes the chat path out of the scope.", this::scopeChange);
    ledger.step("The platform engineer stops the agent in mid-stream.", this::stop);
    ledger.sum();
  }

  private void noKey() throws InterruptedException {
    JsonNode own = agent.ask("environment");
    List<String> names = new ArrayList<>();
    own.path("variables").forEach(name -> names.add(name.asString()));
    List<String> expected = environment.keySet().stream().sorted().toList();
    ledger.prove(
        names.equals(expected) && own.path("keys").isEmpty(),
        "it looked itself and found " + String.join(", ", names));
    String outside = agent.environmentAsSeenFromOutside();
    if (outside != null) {
      ledger.prove(
          outside.contains("VALETKEY_URL=") && !outside.contains(key.reveal()),
          "/proc/<agent>/environ does not contain the upstream's key " + key);
    }
  }

  private void token() throws InterruptedException {
    JsonNode answer = agent.ask("token");
    JsonNode claims = answer.path("claims");
    long seconds = answer.path("seconds").asLong(0);
    boolean own =
        claims.path("client_id").asString("").equals(DemoPolicy.AGENT)
            && claims.path("aud").toString().contains("/d/" + DemoPolicy.DESTINATION)
            && answer.path("scope").asString("").equals(DemoPolicy.SCOPE);
    ledger.prove(
        own && seconds > 0 && seconds <= 300,
        own
            ? "client_id %s, aud %s, scope %s, ends in %d s"
                .formatted(
                    claims.path("client_id").asString(),
                    audience(claims),
                    answer.path("scope").asString(),
                    seconds)
            : "no token: " + answer);
  }

  private static String audience(JsonNode claims) {
    JsonNode audience = claims.path("aud");
    return audience.isArray() ? audience.path(0).asString("") : audience.asString("");
  }

  private void chat() throws InterruptedException {
    int before = upstream.arrivals().size();
    JsonNode answer = agent.ask("chat");
    ledger.prove(
        isAnswered(answer),
        "200 in %d ms: \"%s\""
            .formatted(answer.path("millis").asLong(0), answer.path("content").asString("")));
    List<DemoUpstream.Arrival> arrived = since(before);
    ledger.prove(
        arrived.size() == 1 && arrived.getFirst().authentic() && !arrived.getFirst().agentToken(),
        "the upstream got its own key "
            + (arrived.isEmpty() ? "(nothing)" : arrived.getFirst().credential())
            + ", and no token of the agent");
  }

  private void stream() throws InterruptedException {
    List<Long> times = new ArrayList<>();
    JsonNode answer = agent.ask("stream", event -> times.add(event.path("at").asLong(0)));
    long last = times.isEmpty() ? 0 : times.getLast() - times.getFirst();
    boolean apart = times.size() > 4 && times.get(times.size() / 2) - times.getFirst() > last / 4;
    List<Long> offsets = times.stream().map(time -> time - times.getFirst()).toList();
    ledger.prove(
        answer.path("complete").asBoolean(false) && apart && last > 1000,
        times.size() + " events, one by one, after " + offsets + " ms");
  }

  private void forbidden() throws InterruptedException {
    int before = upstream.arrivals().size();
    JsonNode answer = agent.ask("models");
    String id = answer.path("decision").asString("");
    ledger.prove(
        answer.path("status").asInt(0) == 403 && since(before).isEmpty(),
        "refused with %d %s; the upstream saw nothing"
            .formatted(answer.path("status").asInt(0), answer.path("code").asString("")));
    lookUp(id, "insufficient_scope");
  }

  /** Asks the broker why. */
  private void lookUp(String id, @Nullable String reason) throws InterruptedException {
    if (id.isEmpty()) {
      ledger.prove(false, "the refusal carried no decision id");
      return;
    }
    JsonNode decision = policy.decision(id);
    String given = decision.path("reason").asString("");
    ledger.prove(
        decision.path("outcome").asString("").equals("refused")
            && !given.isEmpty()
            && (reason == null || given.equals(reason)),
        "GET /admin/v1/decisions/%s: %s, %s: \"%s\""
            .formatted(
                id,
                decision.path("outcome").asString(""),
                given,
                decision.path("details").path("detail").asString("")));
  }

  private void scopeChange() throws InterruptedException {
    String token = tokenId();
    long change = System.nanoTime();
    try {
      policy.allowOnly("/v1/embeddings");
      JsonNode refusal = until("chat", answer -> answer.path("status").asInt(0) == 403);
      long millis = millisSince(change);
      ledger.prove(
          millis <= BOUND_MILLIS && tokenId().equals(token),
          "the same token was refused (%s) %d ms after the change was sent"
              .formatted(refusal.path("code").asString(""), millis));
    } finally {
      change = System.nanoTime();
      policy.allowOnly(DemoPolicy.CHAT);
    }
    until("chat", Walk::isAnswered);
    long millis = millisSince(change);
    ledger.prove(
        millis <= BOUND_MILLIS, "put back, it was answered again %d ms later".formatted(millis));
  }

  private String tokenId() throws InterruptedException {
    return agent.ask("token").path("claims").path("jti").asString("");
  }

  /** A stop that is ordered when the third event of a stream arrives. */
  private static final class Stopping {
    private int events;
    private long sentAt;
    private String id = "";
  }

  private void stop() throws InterruptedException {
    var stop = new Stopping();
    try {
      JsonNode stream = agent.ask("stream", event -> stopAtThird(stop));
      long cut = stream.path("ended").asLong(0) - stop.sentAt;
      ledger.prove(
          stream.has("cut") && !stream.path("complete").asBoolean(true) && cut <= BOUND_MILLIS,
          "its open stream was cut after %d events, %d ms after the stop was sent"
              .formatted(stop.events, cut));
      JsonNode next = agent.ask("chat");
      ledger.prove(
          next.has("refused") || next.path("status").asInt(0) == 401,
          "its next request failed %d ms after the stop was sent (%s)"
              .formatted(
                  System.currentTimeMillis() - stop.sentAt,
                  next.path("refused").asString(next.path("code").asString("?"))));
      lookUp(next.path("decision").asString(""), null);
      JsonNode progress = policy.awaitAcknowledged(stop.id);
      ledger.prove(
          progress.path("acknowledged").asBoolean(false),
          "GET /admin/v1/stops/%s: gateways %s".formatted(stop.id, progress.path("gateways")));
    } finally {
      if (!stop.id.isEmpty()) {
        policy.lift(stop.id, "quick start: shown");
      }
    }
    JsonNode answer = until("chat", Walk::isAnswered);
    ledger.prove(isAnswered(answer), "lifted with a reason, it works again, with a new token");
  }

  private void stopAtThird(Stopping stop) {
    stop.events++;
    if (stop.events == 3) {
      stop.sentAt = System.currentTimeMillis();
      stop.id = policy.stop("quick start: show that a stop reaches open streams");
    }
  }

  /** Lets the agent do one thing again and again until the answer is the awaited one. */
  private JsonNode until(String task, Predicate<JsonNode> awaited) throws InterruptedException {
    long end = System.nanoTime() + 10_000_000_000L;
    while (true) {
      JsonNode answer = agent.ask(task);
      if (awaited.test(answer)) {
        return answer;
      }
      if (System.nanoTime() > end) {
        throw new IllegalStateException("after 10 s the agent still gets " + answer);
      }
      Thread.sleep(10);
    }
  }

  private static boolean isAnswered(JsonNode answer) {
    return answer.path("status").asInt(0) == 200 && !answer.path("content").asString("").isEmpty();
  }

  private List<DemoUpstream.Arrival> since(int before) {
    List<DemoUpstream.Arrival> all = upstream.arrivals();
    return all.subList(before, all.size());
  }

  private static long millisSince(long nanos) {
    return (System.nanoTime() - nanos) / 1_000_000;
  }
}
