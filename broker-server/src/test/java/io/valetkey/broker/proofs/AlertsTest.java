package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.NeedsPrograms;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.yaml.snakeyaml.Yaml;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Rules, dashboard, runbooks and the list of metrics speak of what a broker really shows.
 * Invariant: T6.
 */
class AlertsTest {

  private static final Path ROOT = ObservedBroker.repository();
  private static final Path RULES = ROOT.resolve("helm/valetkey/files/prometheus-rules.yaml");
  private static final Path DASHBOARD = ROOT.resolve("helm/valetkey/files/grafana-dashboard.json");
  private static final Path RUNBOOKS = ROOT.resolve("docs/runbooks");

  /** Prometheus makes this one itself, for everything that it scrapes. */
  private static final String UP = "up";

  /** A metric in a query: a name that no bracket of a function follows. */
  private static final Pattern METRIC =
      Pattern.compile("\\b((?:valetkey|hikaricp|jvm|process|http|system)_[a-z0-9_]+|up)\\b");

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  @TempDir private static Path folder;
  private static Set<String> scraped;

  @BeforeAll
  static void scrape() throws Exception {
    try (EchoUpstream upstream = new EchoUpstream(folder)) {
      Map<String, String> settings = upstream.settings();
      settings.putAll(ObservedBroker.settings(folder));
      try (RunningBroker broker = RunningBroker.start(settings);
          RunningBroker secured = broker.replica(ObservedBroker.withCertificate(folder, settings));
          HttpClient client = HttpClient.newHttpClient()) {
        new Policies(broker)
            .issuer(ISSUER)
            .agent("bot", "ci", "bot-subject", "")
            .destination("openai", upstream.destination())
            .scope("openai", "chat", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/v1/**\"]}]}")
            .grant("bot-openai", "bot", "openai", List.of("chat"))
            .await(broker);
        String identity = ISSUER.token("bot-subject", broker.url());
        String token = Tokens.ask(broker.url(), Tokens.exchange(identity)).token();
        assertThat(
                EchoUpstream.use(client, broker.gatewayUrl() + "/d/openai/v1/x", token)
                    .statusCode())
            .isEqualTo(200);
        scraped = names(broker);
        scraped.addAll(names(secured));
      }
    }
  }

  private static Set<String> names(RunningBroker broker) throws Exception {
    return Tokens.raw(URI.create(broker.managementUrl() + "/actuator/prometheus"))
        .lines()
        .filter(line -> !line.startsWith("#") && !line.isBlank())
        .map(line -> line.split("[{ ]", 2)[0])
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** Every rule of the file, by its name. */
  private static Map<String, Map<String, Object>> rules() throws Exception {
    Map<String, Map<String, Object>> rules = new TreeMap<>();
    Map<String, List<Map<String, Object>>> file = new Yaml().load(Files.readString(RULES));
    for (Map<String, Object> group : file.get("groups")) {
      for (Object one : (List<?>) group.get("rules")) {
        @SuppressWarnings("unchecked")
        Map<String, Object> rule = (Map<String, Object>) one;
        Object name = rule.getOrDefault("alert", rule.get("record"));
        assertThat(rules.put(String.valueOf(name), rule)).as("twice: %s", name).isNull();
      }
    }
    return rules;
  }

  private static Set<String> metrics(String query) {
    Set<String> found = new TreeSet<>();
    // Names of recorded rules have colons, and what stands in quotes is no metric.
    Matcher matcher =
        METRIC.matcher(query.replaceAll("valetkey:[a-z0-9_:]+", "").replaceAll("\"[^\"]*\"", ""));
    while (matcher.find()) {
      found.add(matcher.group(1));
    }
    return found;
  }

  private static void assertKnown(String where, String query) throws Exception {
    for (String metric : metrics(query)) {
      assertThat(metric.equals(UP) || scraped.contains(metric))
          .as("%s: %s", where, metric)
          .isTrue();
    }
    Matcher recorded = Pattern.compile("valetkey:[a-z0-9_:]+").matcher(query);
    while (recorded.find()) {
      assertThat(rules()).as(where).containsKey(recorded.group());
    }
  }

  @Test
  void rules_askForMetricsThatThereAre() throws Exception {
    for (var rule : rules().entrySet()) {
      assertKnown(rule.getKey(), String.valueOf(rule.getValue().get("expr")));
    }
  }

  @Test
  void dashboard_asksForMetricsThatThereAre() throws Exception {
    int queries = 0;
    for (JsonNode panel :
        JsonMapper.shared().readTree(Files.readString(DASHBOARD)).path("panels")) {
      for (JsonNode target : panel.path("targets")) {
        String query = target.path("expr").asString();
        assertThat(metrics(query).size() + query.split("valetkey:", -1).length - 1)
            .as(query)
            .isPositive();
        assertKnown(panel.path("title").asString(), query);
        queries++;
      }
    }
    assertThat(queries).isGreaterThan(20);
  }

  @Test
  void everyAlert_hasARunbookAndEveryRunbookAnAlert() throws Exception {
    Set<String> named = new TreeSet<>();
    for (var rule : rules().entrySet()) {
      if (rule.getValue().containsKey("alert")) {
        Map<?, ?> annotations = (Map<?, ?>) rule.getValue().get("annotations");
        String page = String.valueOf(annotations.get("runbook_url"));
        assertThat(page).startsWith("docs/runbooks/");
        assertThat(ROOT.resolve(page)).as(rule.getKey()).exists();
        assertThat(Files.readString(ROOT.resolve(page))).as(page).contains(rule.getKey());
        assertThat(String.valueOf(((Map<?, ?>) rule.getValue().get("labels")).get("severity")))
            .isIn("critical", "warning");
        named.add(Path.of(page).getFileName().toString());
      }
    }
    try (var pages = Files.list(RUNBOOKS)) {
      Set<String> there =
          pages.map(page -> page.getFileName().toString()).collect(Collectors.toSet());
      there.remove("README.md");
      assertThat(there).isEqualTo(named);
    }
  }

  @Test
  void everyRunbook_asksForMetricsThatThereAre() throws Exception {
    try (var pages = Files.list(RUNBOOKS)) {
      for (Path page : pages.toList()) {
        Matcher code = Pattern.compile("`[^`]+`").matcher(Files.readString(page));
        while (code.find()) {
          if (code.group().contains("valetkey_") && !code.group().contains("valetkey_app")) {
            assertKnown(page.getFileName().toString(), code.group());
          }
        }
      }
    }
  }

  @Test
  void everyMetricOfOurs_isInTheList() throws Exception {
    Set<String> listed = new TreeSet<>();
    Matcher matcher =
        Pattern.compile("(?m)^\\| `(valetkey_[a-z0-9_]+)`")
            .matcher(Files.readString(ROOT.resolve("docs/reference/metrics.md")));
    while (matcher.find()) {
      listed.add(matcher.group(1));
    }
    Set<String> ours =
        scraped.stream()
            .filter(name -> name.startsWith("valetkey_"))
            // A timer is one metric to people.
            .map(name -> name.replaceAll("_(bucket|count|sum|max)$", ""))
            .collect(Collectors.toCollection(TreeSet::new));
    assertThat(listed).isEqualTo(ours);
  }

  @Test
  @NeedsPrograms({"promtool"})
  void promtool_acceptsTheRulesAndTheirTests() throws Exception {
    promtool("check", "rules", RULES.toString());
    promtool("test", "rules", ROOT.resolve("testdata/prometheus/rules-test.yaml").toString());
  }

  private static void promtool(String... arguments) throws Exception {
    List<String> command = new java.util.ArrayList<>(List.of("promtool"));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes());
    assertThat(process.waitFor()).as(said).isZero();
  }
}
