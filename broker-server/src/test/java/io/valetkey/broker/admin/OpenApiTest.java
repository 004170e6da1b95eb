package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.control.Route;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

class OpenApiTest {

  private static final Path COMMITTED = Path.of("../docs/reference/openapi.json");
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  /** Run with {@code -Dopenapi.update=true} to write the file anew. */
  @Test
  void description_isTheCommittedOne_andNamesEveryRoute() throws Exception {
    JsonNode served;
    try (RunningBroker broker = RunningBroker.start(Map.of())) {
      var answer = new AdminClient(broker.url(), null).get("/openapi");
      assertThat(answer.status()).as(answer.response().body()).isEqualTo(200);
      served = answer.json();
    }
    if (Boolean.getBoolean("openapi.update")) {
      Files.createDirectories(COMMITTED.getParent());
      Files.writeString(COMMITTED, JSON.writeValueAsString(served) + "\n");
    }
    assertThat(served.get("openapi").stringValue()).startsWith("3.1");
    assertThat(served).isEqualTo(JSON.readTree(Files.readString(COMMITTED)));
    assertThat(described(served)).isEqualTo(listed());
    checkReferences(served, served);
  }

  private static Set<String> listed() {
    Set<String> routes = new TreeSet<>();
    for (Route route : AdminRoutes.all()) {
      if (!route.pattern().getPatternString().startsWith("/openapi")) {
        routes.add(route.method() + " " + route.pattern());
      }
    }
    return routes;
  }

  private static Set<String> described(JsonNode document) {
    Set<String> routes = new TreeSet<>();
    for (var path : document.get("paths").properties()) {
      for (String method : path.getValue().propertyNames()) {
        if (!method.equals("parameters")) {
          routes.add(method.toUpperCase() + " " + path.getKey());
        }
      }
    }
    return routes;
  }

  private static void checkReferences(JsonNode node, JsonNode document) {
    if (node.has("$ref")) {
      String reference = node.get("$ref").stringValue();
      assertThat(document.at(reference.substring(1)).isMissingNode()).as(reference).isFalse();
    }
    node.forEach(child -> checkReferences(child, document));
  }
}
