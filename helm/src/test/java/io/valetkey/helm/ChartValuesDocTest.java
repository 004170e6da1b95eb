package io.valetkey.helm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.Yaml;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The page of chart values is made of the schema and the defaults: {@code
 * -Dchart-values.update=true} writes it.
 */
class ChartValuesDocTest {

  private static final Path PAGE = Path.of("../docs/reference/chart-values.md");

  @Test
  void page_isWhatTheSchemaAndTheDefaultsSay() throws Exception {
    String page = page();
    if (Boolean.getBoolean("chart-values.update")) {
      Files.writeString(PAGE, page);
    }
    assertThat(Files.readString(PAGE)).isEqualTo(page);
  }

  private static String page() throws Exception {
    JsonMapper json = JsonMapper.shared();
    JsonNode schema = json.readTree(Files.readString(Chart.FOLDER.resolve("values.schema.json")));
    JsonNode values =
        json.valueToTree(new Yaml().load(Files.readString(Chart.FOLDER.resolve("values.yaml"))));
    List<String> lines = new ArrayList<>();
    lines.add("# Chart values");
    lines.add("");
    lines.add(
        "Values of the chart [`helm/valetkey`](../../helm/valetkey), made of its schema and its"
            + " defaults. A value that does not exist is refused. [How to install"
            + " it](../how-to/install-on-kubernetes.md).");
    schema
        .at("/properties")
        .properties()
        .forEach(group -> {
          lines.add("");
          lines.add("## " + group.getKey());
          if (group.getValue().has("properties")) {
            lines.add(group.getValue().at("/description").asString() + ".");
            lines.add("");
          }
          lines.add("| value | default | means |");
          lines.add("|---|---|---|");
          add(lines, group.getKey(), group.getValue(), values.at("/" + group.getKey()));
        });
    return String.join("\n", lines) + "\n";
  }

  private static void add(List<String> lines, String name, JsonNode schema, JsonNode value) {
    JsonNode properties = schema.at("/properties");
    if (properties.isMissingNode()) {
      lines.add(
          "| `%s` | %s | %s%s |"
              .formatted(name, text(value), schema.at("/description").asString(), limits(schema)));
    } else {
      properties
          .properties()
          .forEach(
              p -> add(lines, name + "." + p.getKey(), p.getValue(), value.at("/" + p.getKey())));
    }
  }

  private static String text(JsonNode value) {
    boolean none = value.isMissingNode() || value.isString() && value.asString().isEmpty();
    return none || value.isContainer() && value.isEmpty()
        ? "–"
        : "`" + (value.isString() ? value.asString() : value.toString()) + "`";
  }

  private static String limits(JsonNode schema) {
    if (schema.has("enum")) {
      return "; one of `" + String.join("`, `", Rendered.texts(schema.at("/enum"))) + "`";
    }
    return schema.has("minimum") && schema.has("maximum")
        ? "; %s to %s".formatted(schema.at("/minimum"), schema.at("/maximum"))
        : "";
  }
}
