package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.admin.AdminClient.Answer;
import io.valetkey.broker.declaration.DestinationTemplate;
import io.valetkey.broker.declaration.DestinationTemplates;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Every ready-made destination becomes a real one, which allows what it says and nothing else. */
class DestinationTemplatesTest {

  private static final Path PAGE = Path.of("../docs/reference/ready-made-destinations.md");
  private static final JsonMapper JSON = JsonMapper.shared();
  private static RunningBroker broker;
  private static AdminClient admin;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
    admin = AdminClient.bootstrap(broker);
    assertThat(
            admin
                .put(
                    "/issuers/idp",
                    """
                    {"type": "oidc", "issuer": "https://idp.example.com", "keys": {"discovery": true}}
                    """)
                .status())
        .isEqualTo(201);
    assertThat(
            admin
                .put(
                    "/agents/bot",
                    "{\"identities\": [{\"issuer\": \"idp\", \"subject\": \"bot\"}]}")
                .status())
        .isEqualTo(201);
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  static Stream<String> names() {
    return templates().map(DestinationTemplate::name);
  }

  private static Stream<DestinationTemplate> templates() {
    return StreamSupport.stream(DestinationTemplates.all().spliterator(), false);
  }

  @ParameterizedTest
  @MethodSource("names")
  void template_becomesADestination_thatAllowsWhatItSays(String name) {
    Answer yaml =
        admin.send(
            "GET",
            "/destination-templates/" + name + "?managedBy=ready-" + name + examples(name),
            null,
            "Accept",
            "application/yaml");
    assertThat(yaml.status()).as(yaml.response().body()).isEqualTo(200);
    Answer applied =
        admin.send("POST", "/apply", yaml.response().body(), "Content-Type", "application/yaml");
    assertThat(applied.status()).as(applied.response().body()).isEqualTo(200);
    JsonNode filled = filled(name);
    grantEveryScope(name, filled);
    for (JsonNode document : filled.get("documents")) {
      for (JsonNode rule : document.at("/spec/allow")) {
        for (JsonNode path : rule.get("paths")) {
          String some = path.stringValue().replace("**", "some/thing").replace("*", "some");
          for (JsonNode method : rule.get("methods")) {
            assertThat(explained(name, method.stringValue(), some))
                .as("%s %s", method, some)
                .isEqualTo("granted");
          }
        }
      }
    }
    assertThat(filled.get("leftOut")).isNotEmpty();
    for (JsonNode left : filled.get("leftOut")) {
      String path = left.get("path").stringValue();
      assertThat(explained(name, left.get("method").stringValue(), path))
          .as(path)
          .isEqualTo("refused");
    }
    assertThat(filled.get("clients")).isNotEmpty();
    assertThat(filled.get("clients").toString())
        .contains(broker.gatewayUrl() + "/d/" + name)
        .contains("<access token>");
    assertThat(filled.toString() + yaml.response().body()).doesNotContain("${");
  }

  private static JsonNode filled(String name) {
    Answer answer =
        admin.get("/destination-templates/" + name + "?destination=" + name + examples(name));
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(200);
    return answer.json();
  }

  private static String examples(String name) {
    StringBuilder query = new StringBuilder();
    DestinationTemplates.find(name)
        .parameters()
        .forEach(one ->
            query
                .append('&')
                .append(one.name())
                .append('=')
                .append(URLEncoder.encode(one.example(), StandardCharsets.UTF_8)));
    return query.toString();
  }

  private static void grantEveryScope(String name, JsonNode filled) {
    ObjectNode grant = JSON.createObjectNode().put("agent", "bot").put("destination", name);
    var scopes = grant.putArray("scopes");
    for (JsonNode document : filled.get("documents")) {
      if (document.get("kind").stringValue().equals("scope")) {
        scopes.add(document.get("name").stringValue().substring(name.length() + 1));
      }
    }
    Answer granted = admin.put("/grants/bot-" + name, grant.toString());
    assertThat(granted.status()).as(granted.response().body()).isEqualTo(201);
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() ->
            admin.get("/agents/bot/reach").response().body().contains("\"bot-" + name + "\""));
  }

  private static String explained(String destination, String method, String path) {
    ObjectNode question = JSON.createObjectNode();
    question.put("agent", "bot").put("destination", destination);
    question.put("method", method).put("path", path);
    Answer answer = admin.send("POST", "/decisions/explain", question.toString());
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(200);
    return answer.json().get("outcome").stringValue();
  }

  @Test
  void list_namesEveryTemplate_andWhatItNeeds() {
    JsonNode items = admin.get("/destination-templates").json().get("items");
    assertThat(items.valueStream().map(item -> item.get("name").stringValue()))
        .containsExactlyElementsOf(names().toList());
    JsonNode jira =
        items
            .valueStream()
            .filter(item -> item.get("name").stringValue().equals("jira"))
            .findFirst()
            .orElseThrow();
    assertThat(jira.at("/parameters/0/name").stringValue()).isEqualTo("site");
  }

  @Test
  void credential_isWhatWasAskedFor() {
    assertThat(credential(""))
        .isEqualTo(
            "{\"source\":\"vault-kv\",\"mount\":\"secret\",\"path\":\"agents/openai\",\"field\":\"api_key\"}");
    assertThat(credential("?destination=ai&mount=kv&path=a/b&field=f"))
        .isEqualTo("{\"source\":\"vault-kv\",\"mount\":\"kv\",\"path\":\"a/b\",\"field\":\"f\"}");
    assertThat(credential("?source=file")).isEqualTo("{\"source\":\"file\",\"name\":\"openai\"}");
  }

  private static String credential(String query) {
    return admin
        .get("/destination-templates/openai" + query)
        .json()
        .at("/documents/0/spec/credential")
        .toString();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/jira",
        "/jira?site=acme",
        "/jira?site=evil.example%2F&email=a@b.example",
        "/jira?site=acme&email=a@b.example&site=other",
        "/openai?source=environment",
        "/openai?destination=Not%20a%20name",
        "/openai?managedBy=Not%20a%20name",
        "/openai?sorce=file",
        "/datadog?site=datadoghq.eu&field=api_key",
        "/github?owner=acme&repository=..",
        "/github?owner=acme&repository=a%2F..%2Fb",
        "/azure-openai?resource=a.evil.example%23&deployment=d"
      })
  void query_thatIsWrong_isRefused(String path) {
    Answer answer = admin.get("/destination-templates" + path);
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(400);
    assertThat(answer.code()).isEqualTo("invalid_request");
  }

  @Test
  void missingParameters_areNamedAtOnce() {
    assertThat(admin.get("/destination-templates/jira").json().get("detail").stringValue())
        .contains("site (")
        .contains("email (");
    assertThat(admin.get("/destination-templates/none").status()).isEqualTo(404);
  }

  /** Run with {@code -Dtemplates.update=true} to write the page anew. */
  @Test
  void page_saysWhatTheTemplatesSay() throws Exception {
    String page = page();
    if (Boolean.getBoolean("templates.update")) {
      Files.writeString(PAGE, page);
    }
    assertThat(Files.readString(PAGE)).isEqualTo(page);
  }

  private static String page() {
    List<String> lines = new ArrayList<>();
    lines.add("# Ready-made destinations");
    lines.add("");
    lines.add(
        "Made of the templates that come with the broker; `GET /admin/v1/destination-templates` lists"
            + " them. [How to use one](../how-to/use-a-ready-made-destination.md). Where a client"
            + " must be told something, `$GATEWAY` is the gateway's public address and `$TOKEN` an"
            + " access token for the destination. Origins, scopes and settings follow the providers'"
            + " own documentation; of the clients, those in [Use a provider's SDK](../how-to/use-an-sdk-by-base-url.md)"
            + " are run by the tests.");
    templates().forEach(template -> describe(template, lines));
    return String.join("\n", lines) + "\n";
  }

  private static void describe(DestinationTemplate template, List<String> lines) {
    Map<String, String> values = new TreeMap<>();
    template.parameters().forEach(one -> values.put(one.name(), "<" + one.name() + ">"));
    List<ObjectNode> documents =
        template.documents(template.name(), JSON.createObjectNode(), values);
    JsonNode destination = documents.getFirst().get("spec");
    lines.add("");
    lines.add("## " + template.name());
    lines.add(
        "%s: `%s`, the credential in %s."
            .formatted(
                template.title(), destination.get("origin").stringValue(), slot(destination)));
    lines.add("");
    template
        .parameters()
        .forEach(one ->
            lines.add(
                "- Parameter `%s`: %s, such as `%s`."
                    .formatted(one.name(), one.about(), one.example())));
    documents.stream().skip(1).forEach(scope -> lines.add(scope(scope)));
    template
        .leftOut(values)
        .forEach(one ->
            lines.add("- Left out: `%s %s`: %s.".formatted(one.method(), one.path(), one.why())));
    for (JsonNode client : template.clients("$GATEWAY", template.name(), "$TOKEN")) {
      List<String> settings = new ArrayList<>();
      client
          .get("settings")
          .properties()
          .forEach(one ->
              settings.add("`%s` = `%s`".formatted(one.getKey(), one.getValue().stringValue())));
      lines.add(
          "- %s, by %s: %s."
              .formatted(
                  client.get("client").stringValue(),
                  client.get("kind").stringValue(),
                  String.join(", ", settings)));
    }
  }

  private static String slot(JsonNode destination) {
    if (destination.has("slots")) {
      return destination
          .get("slots")
          .valueStream()
          .map(one ->
              "`%s` (field `%s`)"
                  .formatted(one.get("header").stringValue(), one.get("field").stringValue()))
          .collect(Collectors.joining(" and "));
    }
    if (destination.has("signing")) {
      return "signatures (AWS SigV4), fields `access_key_id` and `secret_access_key`";
    }
    JsonNode basic = destination.at("/slot/basic/username");
    if (!basic.isMissingNode()) {
      return "`Authorization` as the password of Basic, user `" + basic.stringValue() + "`";
    }
    return "`%s: %s`"
        .formatted(
            destination.at("/slot/header").asString("Authorization"),
            destination.at("/slot/format").asString("Bearer {credential}"));
  }

  private static String scope(ObjectNode document) {
    List<String> rules = new ArrayList<>();
    for (JsonNode rule : document.at("/spec/allow")) {
      List<String> methods = rule.get("methods").valueStream().map(JsonNode::stringValue).toList();
      List<String> paths = rule.get("paths").valueStream().map(JsonNode::stringValue).toList();
      rules.add(String.join(", ", methods) + " `" + String.join("`, `", paths) + "`");
    }
    String name = document.get("name").stringValue();
    return "- Scope `%s`: %s."
        .formatted(name.substring(name.indexOf('/') + 1), String.join("; ", rules));
  }
}
