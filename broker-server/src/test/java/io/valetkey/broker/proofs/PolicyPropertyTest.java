package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.access.Use;
import io.valetkey.broker.access.UseDecision;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.condition.TestFacts;
import io.valetkey.broker.control.Explanation;
import io.valetkey.broker.control.Question;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.proofs.Tokens.Answer;
import io.valetkey.broker.stop.StopOrder;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopTarget;
import io.valetkey.broker.stop.StopTarget.Kind;
import io.valetkey.broker.stop.StopView;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Random policies, asked over the wire by both grants and at the decision of the gateway, against a
 * model that is a few loops over plain data; and the explanation against the decision. Invariants:
 * P2, P7, D2.
 */
class PolicyPropertyTest {

  private static final List<String> SUBJECTS = List.of("s-0", "s-1", "s-2", "s-3");
  private static final List<String> METHODS = List.of("GET", "POST");
  private static RunningBroker broker;
  private static int worlds;
  private static int issued;
  private static int refused;
  private static int used;
  private static int explained;
  private static int unfinished;

  @BeforeContainer
  static void start() {
    broker = RunningBroker.start(Map.of("valetkey.issuance.tokens-per-minute", "10000000"));
  }

  @AfterContainer
  static void stop() {
    broker.close();
    // A property that never saw one side would prove nothing about it.
    assertThat(issued).isGreaterThan(10);
    assertThat(refused).isGreaterThan(40);
    assertThat(used).isGreaterThan(10);
    assertThat(explained).isGreaterThan(5);
    assertThat(unfinished).isPositive();
  }

  private record AgentFact(Set<String> identities, boolean enabled, Integer seconds) {}

  /** What a rule asks for besides method and path. */
  private enum Asks {
    NOTHING(""),
    QUERY(",\"when\":\"request.query.q == 'yes'\""),
    BODY(",\"when\":\"body.q == 'yes'\"");

    final String json;

    Asks(String json) {
      this.json = json;
    }
  }

  private record ScopeFact(Integer seconds, String method, Asks asks) {}

  private record DestinationFact(boolean enabled, Map<String, ScopeFact> scopes) {}

  private record GrantFact(Set<String> scopes, Instant end) {}

  private record StopFact(StopTarget target, long epoch, boolean lifted) {}

  /** A policy as plain data. Its names begin with its number, so that no two worlds meet. */
  private static final class World {
    final String id = "w" + ++worlds;
    final Map<String, TestIssuer> issuers = new TreeMap<>();
    final Set<String> disabledIssuers = new HashSet<>();
    final Map<String, AgentFact> agents = new TreeMap<>();
    final Map<String, DestinationFact> destinations = new TreeMap<>();
    final Map<String, Map<String, GrantFact>> grants = new TreeMap<>();
    final List<StopFact> stops = new ArrayList<>();
    final long epochBefore;

    World(Random random) throws Exception {
      makeUp(random);
      write();
      epochBefore = broker.bean(StopView.class).epoch();
      order(random);
    }

    private void makeUp(Random random) {
      for (int i = 0; i < 2; i++) {
        String name = id + "-i" + i;
        issuers.put(name, new TestIssuer(name));
        if (random.nextInt(10) == 0) {
          disabledIssuers.add(name);
        }
      }
      for (int i = 0; i < 3; i++) {
        Map<String, ScopeFact> scopes = new TreeMap<>();
        for (int s = 0; s < 1 + random.nextInt(3); s++) {
          scopes.put(
              "c" + s,
              new ScopeFact(seconds(random), METHODS.get(random.nextInt(2)), asks(random)));
        }
        destinations.put(id + "-d" + i, new DestinationFact(random.nextInt(8) != 0, scopes));
      }
      for (int i = 0; i < 3; i++) {
        Set<String> identities = new TreeSet<>();
        for (int n = 0; n < 1 + random.nextInt(2); n++) {
          String issuer = id + "-i" + random.nextInt(2);
          identities.add(issuer + " " + SUBJECTS.get(random.nextInt(SUBJECTS.size())));
        }
        String agent = id + "-a" + i;
        agents.put(agent, new AgentFact(identities, random.nextInt(8) != 0, seconds(random)));
        grants.put(agent, new TreeMap<>());
        destinations.forEach((destination, fact) -> {
          if (random.nextInt(4) < 3) {
            Set<String> scopes = new TreeSet<>();
            fact.scopes().keySet().stream().filter(s -> random.nextBoolean()).forEach(scopes::add);
            scopes.add("c0");
            grants.get(agent).put(destination, new GrantFact(scopes, end(random)));
          }
        });
      }
    }

    private static Asks asks(Random random) {
      return Asks.values()[Math.max(0, random.nextInt(4) - 1)];
    }

    private static Integer seconds(Random random) {
      return new Integer[] {null, null, 20, 900, 7200}[random.nextInt(5)];
    }

    private static Instant end(Random random) {
      long now = Instant.now().getEpochSecond();
      return switch (random.nextInt(5)) {
        case 0 -> Instant.ofEpochSecond(now - 5);
        case 1 -> Instant.ofEpochSecond(now + 100);
        default -> null;
      };
    }

    private static String ttl(Integer seconds) {
      return seconds == null ? "" : ",\"maxTokenTtl\":\"%ds\"".formatted(seconds);
    }

    private void write() throws Exception {
      Policies policies = new Policies(broker);
      issuers.forEach((name, issuer) -> {
        String spec = issuer.spec();
        policies.write(
            "issuer",
            name,
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            name,
            spec.substring(0, spec.length() - 1)
                + ",\"enabled\":%s}".formatted(!disabledIssuers.contains(name)),
            "https://" + name + ".test");
      });
      agents.forEach((name, fact) -> {
        List<String> identities =
            fact.identities().stream()
                .map(i -> i.split(" "))
                .map(i -> "{\"issuer\":\"%s\",\"subject\":\"%s\"}".formatted(i[0], i[1]))
                .toList();
        policies.write(
            "agent",
            name,
            "INSERT INTO agent (name, spec, version) VALUES (?, ?::jsonb, 1)",
            name,
            "{\"identities\":[%s],\"enabled\":%s%s}"
                .formatted(String.join(",", identities), fact.enabled(), ttl(fact.seconds())));
      });
      destinations.forEach((name, fact) -> {
        String spec = Tokens.DESTINATION.formatted("w");
        policies.destination(
            name,
            spec.substring(0, spec.length() - 1) + ",\"enabled\":%s}".formatted(fact.enabled()));
        fact.scopes()
            .forEach((scope, rule) ->
                policies.scope(
                    name,
                    scope,
                    "{\"allow\":[{\"methods\":[\"%s\"],\"paths\":[\"/%s/*\"]%s}]%s}"
                        .formatted(rule.method(), scope, rule.asks().json, ttl(rule.seconds()))));
      });
      grants.forEach((agent, byDestination) ->
          byDestination.forEach((destination, fact) ->
              policies.write(
                  "grant",
                  agent + destination,
                  "INSERT INTO agent_grant (name, agent, destination, spec, version)"
                      + " VALUES (?, ?, ?, ?::jsonb, 1)",
                  agent + destination,
                  agent,
                  destination,
                  "{\"agent\":\"%s\",\"destination\":\"%s\",\"scopes\":[\"%s\"]%s}"
                      .formatted(
                          agent,
                          destination,
                          String.join("\",\"", fact.scopes()),
                          fact.end() == null
                              ? ""
                              : ",\"expiresAt\":\"%s\"".formatted(fact.end())))));
      policies.await(broker);
    }

    private void order(Random random) throws Exception {
      for (int i = 0; i < random.nextInt(4) - 1; i++) {
        StopTarget target =
            switch (random.nextInt(8)) {
              case 0 -> StopTarget.EVERYTHING;
              case 1, 2 -> new StopTarget(Kind.ISSUER, id + "-i" + random.nextInt(2));
              case 3, 4 -> new StopTarget(Kind.DESTINATION, id + "-d" + random.nextInt(3));
              default -> new StopTarget(Kind.AGENT, id + "-a" + random.nextInt(3));
            };
        StopOrder stop = PolicyPropertyTest.order(target);
        boolean lifted = random.nextInt(3) == 0;
        if (lifted) {
          lift(stop);
        }
        stops.add(new StopFact(target, stop.epoch(), lifted));
      }
    }

    boolean stopped(String agent, String destination, String issuer, long epoch) {
      return stops.stream()
          .filter(s -> !s.lifted() || epoch < s.epoch())
          .map(StopFact::target)
          .anyMatch(t ->
              switch (t.kind()) {
                case EVERYTHING -> true;
                case AGENT -> t.value().equals(agent);
                case DESTINATION -> t.value().equals(destination);
                case ISSUER -> t.value().equals(issuer);
                case TOKEN -> false;
              });
    }

    List<String> agentsOf(String issuer, String subject) {
      return agents.entrySet().stream()
          .filter(e -> e.getValue().identities().contains(issuer + " " + subject))
          .map(Map.Entry::getKey)
          .toList();
    }

    GrantFact grant(String agent, String destination) {
      GrantFact grant = grants.get(agent).get(destination);
      boolean ended = grant != null && grant.end() != null && !Instant.now().isBefore(grant.end());
      return ended ? null : grant;
    }
  }

  private static StopOrder order(StopTarget target) throws Exception {
    var record = broker.bean(AuditLog.class).open("stop.order").completed(Outcome.GRANTED, null);
    StopOrder stop = broker.bean(StopStore.class).order(target, "a test", null, "test", record);
    awaitEpoch(stop.epoch());
    return stop;
  }

  private static void lift(StopOrder stop) throws Exception {
    var record = broker.bean(AuditLog.class).open("stop.lift").completed(Outcome.GRANTED, null);
    var lifted = broker.bean(StopStore.class).lift(stop.id(), "over", "test", record);
    assertThat(lifted).isPresent();
    try (var database = broker.database();
        var rows = database.createStatement().executeQuery("SELECT epoch FROM stop_epoch")) {
      rows.next();
      awaitEpoch(rows.getLong(1));
    }
  }

  private static void awaitEpoch(long epoch) throws Exception {
    StopView view = broker.bean(StopView.class);
    for (int i = 0; i < 500 && view.seenEpoch() < epoch; i++) {
      Thread.sleep(5);
    }
    assertThat(view.seenEpoch()).isGreaterThanOrEqualTo(epoch);
  }

  @Property(tries = 40, shrinking = ShrinkingMode.OFF)
  void everyWayIn_decidesAsTheModelDoes(@ForAll long seed) throws Exception {
    Random random = new Random(seed);
    World world = new World(random);
    try {
      for (String issuer : world.issuers.keySet()) {
        for (String subject : SUBJECTS) {
          requireTokens(world, random, issuer, subject);
        }
      }
      for (int i = 0; i < 120; i++) {
        requireUse(world, random);
      }
    } finally {
      for (StopOrder stop : broker.bean(StopStore.class).list(Long.MAX_VALUE, 500)) {
        if (stop.endedAt() == null) {
          lift(stop);
        }
      }
    }
  }

  private static void requireTokens(World world, Random random, String issuer, String subject)
      throws Exception {
    int choice = random.nextInt(8);
    String named =
        choice == 0 ? null : world.id + (choice == 1 ? "-nowhere" : "-d" + random.nextInt(3));
    Set<String> wanted = new TreeSet<>();
    if (random.nextInt(3) == 0) {
      wanted.add("c" + random.nextInt(4));
      wanted.add("c0");
    }
    int life = new int[] {15, 200, 3000}[random.nextInt(3)];
    Instant end = Instant.ofEpochSecond(Instant.now().getEpochSecond() + life);
    String identity =
        world
            .issuers
            .get(issuer)
            .token(subject, broker.url(), c -> c.expirationTime(Date.from(end)));
    for (Map<String, String> form :
        List.of(Tokens.clientCredentials(identity), Tokens.exchange(identity))) {
      form.remove("audience");
      if (named != null) {
        form.put("audience", named);
      }
      if (!wanted.isEmpty()) {
        form.put("scope", String.join(" ", wanted));
      }
      Answer answer = Tokens.ask(broker.url(), form);
      requireAsExpected(world, answer, issuer, subject, named, wanted, end);
      if (named != null && wanted.size() < 2) {
        requireExplained(random, answer, new Wish(issuer, subject, identity, named, wanted));
      }
    }
  }

  private record Wish(
      String issuer, String subject, String identity, String destination, Set<String> wanted) {}

  /** The explanation has steps of its own: they must not say another thing than the decision. */
  private static void requireExplained(Random random, Answer answer, Wish wish) throws Exception {
    ObjectNode question =
        JsonMapper.shared()
            .createObjectNode()
            .put("identity_token", wish.identity())
            .put("destination", wish.destination());
    wish.wanted().forEach(scope -> question.put("scope", scope));
    assertExplained(question, answer.hasToken() ? "granted" : "refused");
    if (answer.hasToken()) {
      String method = METHODS.get(random.nextInt(2));
      String path = "/c" + random.nextInt(3) + (random.nextInt(5) == 0 ? "/x/y" : "/x");
      Holder holder =
          new Holder(
              answer.parsed().getJWTClaimsSet().getStringClaim("client_id"),
              wish.issuer(),
              wish.subject(),
              answer.jti(),
              broker.bean(StopView.class).epoch(),
              wish.destination(),
              Set.of(answer.body().path("scope").asString().split(" ")));
      String query = random.nextBoolean() ? "q=yes" : "q=no";
      String body = random.nextBoolean() ? "yes" : "no";
      boolean known = random.nextInt(3) != 0;
      question.put("method", method).put("path", path).put("query", query);
      if (method.equals("POST") && known) {
        question.putObject("body").put("q", body);
      } else if (method.equals("POST")) {
        question.putObject("headers").put("Content-Type", "application/json");
      } else {
        question.putObject("headers");
      }
      Use use =
          new Use(
              holder,
              wish.destination(),
              method,
              RequestPath.parse(path),
              facts(method, query, known ? body : null));
      assertExplained(
          question,
          switch (broker.bean(Access.class).decideUse(use)) {
            case Decision.Granted granted -> "granted";
            case Decision.Refused refusal -> "refused";
            case Decision.Undecidable no -> "undecidable";
            case UseDecision.Incomplete more -> "undecidable";
          });
      explained++;
    }
  }

  private static TestFacts facts(String method, String query, String body) {
    if (!method.equals("POST")) {
      return TestFacts.withoutBody(query);
    }
    return body == null
        ? TestFacts.withUnreadBody(query)
        : TestFacts.withBody(query, "{\"q\":\"%s\"}".formatted(body));
  }

  private static void assertExplained(ObjectNode question, String outcome) {
    ObjectNode explanation = broker.bean(Explanation.class).of(Question.read(question));
    assertThat(explanation.path("outcome").asString())
        .as("%s: %s", question, explanation)
        .isEqualTo(outcome);
  }

  private static void requireAsExpected(
      World world,
      Answer answer,
      String issuer,
      String subject,
      String named,
      Set<String> wanted,
      Instant identityEnd)
      throws Exception {
    List<String> agents = world.agentsOf(issuer, subject);
    String agent = agents.size() == 1 ? agents.getFirst() : null;
    String name = named;
    if (agent != null && name == null && world.grants.get(agent).size() == 1) {
      name = world.grants.get(agent).keySet().iterator().next();
    }
    DestinationFact destination = name == null ? null : world.destinations.get(name);
    GrantFact grant = agent == null || name == null ? null : world.grant(agent, name);
    boolean expected =
        !world.disabledIssuers.contains(issuer)
            && agent != null
            && world.agents.get(agent).enabled()
            && destination != null
            && destination.enabled()
            && !world.stopped(agent, name, issuer, Long.MAX_VALUE)
            && grant != null
            && grant.scopes().containsAll(wanted);
    assertThat(answer.hasToken())
        .as("%s/%s wants %s on %s: %s", issuer, subject, wanted, named, answer.http().body())
        .isEqualTo(expected);
    if (!expected) {
      assertThat(answer.status()).isBetween(400, 401);
      refused++;
      return;
    }
    issued++;
    var claims = answer.parsed().getJWTClaimsSet();
    Set<String> scopes = Set.of(answer.body().path("scope").asString().split(" "));
    assertThat(scopes).isEqualTo(wanted.isEmpty() ? grant.scopes() : wanted);
    assertThat(Set.of(claims.getStringClaim("scope").split(" "))).isEqualTo(scopes);
    assertThat(claims.getStringClaim("client_id")).isEqualTo(agent);
    assertThat(claims.getAudience()).containsExactly(broker.gatewayUrl() + "/d/" + name);
    long bound = 3600;
    boolean said = false;
    List<Integer> bounds = new ArrayList<>();
    bounds.add(world.agents.get(agent).seconds());
    scopes.forEach(scope -> bounds.add(destination.scopes().get(scope).seconds()));
    for (Integer seconds : bounds) {
      said |= seconds != null;
      bound = seconds == null ? bound : Math.min(bound, seconds);
    }
    bound = said ? bound : 300;
    Instant issuedAt = claims.getIssueTime().toInstant();
    Instant latest = issuedAt.plusSeconds(bound);
    latest = latest.isBefore(identityEnd) ? latest : identityEnd;
    latest = grant.end() == null || latest.isBefore(grant.end()) ? latest : grant.end();
    assertThat(claims.getExpirationTime().toInstant())
        .isAfter(issuedAt)
        .isBeforeOrEqualTo(latest)
        // Not needlessly short either: at most the second in which it was made is lost.
        .isAfterOrEqualTo(latest.minusSeconds(1));
  }

  private static void requireUse(World world, Random random) {
    String agent = world.id + "-a" + random.nextInt(4);
    String issuer = world.id + "-i" + random.nextInt(2);
    String tokenDestination = world.id + "-d" + random.nextInt(3);
    String destination =
        random.nextInt(4) == 0 ? world.id + "-d" + random.nextInt(4) : tokenDestination;
    Set<String> scopes = new TreeSet<>(List.of("c0", "c" + random.nextInt(4)));
    String method = METHODS.get(random.nextInt(2));
    String segment = "c" + random.nextInt(3);
    String path = "/" + segment + (random.nextInt(5) == 0 ? "/x/y" : "/x");
    String query = random.nextBoolean() ? "q=yes" : "q=no";
    String body = new String[] {null, "yes", "no"}[random.nextInt(3)];
    long epoch = random.nextBoolean() ? world.epochBefore : Long.MAX_VALUE - 1;
    String subject = SUBJECTS.get(random.nextInt(SUBJECTS.size()));
    AgentFact owner = world.agents.get(agent);
    if (owner != null && !owner.identities().isEmpty() && random.nextInt(4) != 0) {
      // Mostly an identity that the agent has, so that uses are allowed often enough.
      String own = owner.identities().iterator().next();
      issuer = own.substring(0, own.indexOf(' '));
      subject = own.substring(own.indexOf(' ') + 1);
    }
    Use use =
        new Use(
            new Holder(
                agent,
                issuer,
                subject,
                "jti-" + random.nextLong(),
                epoch,
                tokenDestination,
                scopes),
            destination,
            method,
            RequestPath.parse(path),
            facts(method, query, body));
    AgentFact fact = world.agents.get(agent);
    DestinationFact target = world.destinations.get(destination);
    GrantFact grant = fact == null ? null : world.grant(agent, destination);
    boolean fits =
        fact != null
            && fact.enabled()
            && !world.disabledIssuers.contains(issuer)
            && destination.equals(tokenDestination)
            && target != null
            && target.enabled()
            && fact.identities().contains(issuer + " " + subject)
            && !world.stopped(agent, destination, issuer, epoch)
            && grant != null
            && scopes.contains(segment)
            && grant.scopes().contains(segment)
            && target.scopes().get(segment).method().equals(method)
            && path.equals("/" + segment + "/x");
    Asks asks = fits ? target.scopes().get(segment).asks() : Asks.NOTHING;
    boolean post = method.equals("POST");
    boolean expected =
        fits
            && switch (asks) {
              case NOTHING -> true;
              case QUERY -> query.equals("q=yes");
              case BODY -> post && "yes".equals(body);
            };
    boolean unknown = fits && asks == Asks.BODY && post && body == null;

    UseDecision decision = broker.bean(Access.class).decideUse(use);

    Map<String, Object> what = new LinkedHashMap<>();
    what.put("use", use);
    what.put("decision", decision);
    assertThat(decision instanceof Decision.Granted).as(what.toString()).isEqualTo(expected);
    assertThat(decision instanceof UseDecision.Incomplete).as(what.toString()).isEqualTo(unknown);
    unfinished += unknown ? 1 : 0;
    used += expected ? 1 : 0;
  }
}
