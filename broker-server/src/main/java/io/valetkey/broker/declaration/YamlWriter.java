package io.valetkey.broker.declaration;

import java.util.List;
import java.util.Map;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Writes documents as a YAML stream that a {@link SetReader} reads back as the same. */
public final class YamlWriter {

  private static final JsonMapper JSON = JsonMapper.shared();

  private YamlWriter() {}

  /** The stream, one document for each object. */
  public static String write(List<ObjectNode> documents) {
    DumpSettings settings =
        DumpSettings.builder()
            .setDefaultFlowStyle(FlowStyle.BLOCK)
            .setExplicitStart(true)
            .setIndicatorIndent(2)
            .setIndentWithIndicator(true)
            .setWidth(Integer.MAX_VALUE)
            .build();
    List<Map<String, Object>> plain =
        documents.stream()
            .map(node -> JSON.convertValue(node, new TypeReference<Map<String, Object>>() {}))
            .toList();
    return new Dump(settings).dumpAllToString(plain.iterator());
  }
}
