package io.valetkey.helm;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.yaml.snakeyaml.Yaml;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The objects of a rendered chart. */
record Rendered(List<JsonNode> objects) {

  static Rendered parse(String yaml) {
    List<JsonNode> objects = new ArrayList<>();
    for (Object document : new Yaml().loadAll(yaml)) {
      if (document != null) {
        objects.add(JsonMapper.shared().valueToTree(document));
      }
    }
    return new Rendered(objects);
  }

  List<JsonNode> all(String kind) {
    return objects.stream().filter(o -> o.at("/kind").asString().equals(kind)).toList();
  }

  JsonNode one(String kind, String name) {
    return all(kind).stream()
        .filter(o -> o.at("/metadata/name").asString().equals(name))
        .findFirst()
        .orElseThrow(() -> new AssertionError("there is no " + kind + " " + name));
  }

  /** Everything that becomes a pod: templates of Deployments and Jobs, and pods. */
  List<JsonNode> podSpecs() {
    return Stream.of(
            all("Deployment").stream().map(o -> o.at("/spec/template/spec")),
            all("Job").stream().map(o -> o.at("/spec/template/spec")),
            all("Pod").stream().map(o -> o.at("/spec")))
        .flatMap(s -> s)
        .toList();
  }

  static Stream<JsonNode> each(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false);
  }

  static List<String> texts(JsonNode array) {
    return each(array).map(JsonNode::asString).toList();
  }
}
