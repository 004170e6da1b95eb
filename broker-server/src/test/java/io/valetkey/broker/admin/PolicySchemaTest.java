package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import io.valetkey.broker.policy.DeclaredDocuments;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.policy.ResourceJson;
import io.valetkey.broker.policy.ResourceValidator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** What an editor says about a document is what the broker says, as far as a schema can. */
class PolicySchemaTest {

  private static final Path COMMITTED =
      Path.of("../docs/reference/schema/valetkey-policy.schema.json");
  private static final Path VECTORS = Path.of("../testdata/policy-documents.json");
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();
  private static final Schema SCHEMA =
      SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
          .getSchema(PolicySchema.make().toString());
  private static final DeclaredDocuments DOCUMENTS =
      new DeclaredDocuments(
          new ResourceJson(),
          new ResourceValidator(
              address -> false, address -> true, path -> path.startsWith("/var/run/secrets")));

  /** Run with {@code -Dopenapi.update=true} to write the file anew. */
  @Test
  void schema_isTheCommittedOne() throws Exception {
    if (Boolean.getBoolean("openapi.update")) {
      Files.createDirectories(COMMITTED.getParent());
      Files.writeString(COMMITTED, JSON.writeValueAsString(PolicySchema.make()) + "\n");
    }
    assertThat(JSON.readTree(Files.readString(COMMITTED))).isEqualTo(PolicySchema.make());
  }

  static Stream<JsonNode> vectors() throws Exception {
    return JSON.readTree(Files.readString(VECTORS)).get("vectors").valueStream();
  }

  @ParameterizedTest
  @MethodSource("vectors")
  void parserAndSchema_agree(JsonNode vector) {
    JsonNode document = vector.get("document");
    boolean valid = vector.get("valid").booleanValue();
    boolean bySchema = valid || vector.path("onlyTheBrokerKnows").booleanValue(false);
    assertThat(accepts(document)).as("broker: %s", vector).isEqualTo(valid);
    assertThat(SCHEMA.validate(document.toString(), InputFormat.JSON).isEmpty())
        .as("schema: %s", vector)
        .isEqualTo(bySchema);
  }

  private static boolean accepts(JsonNode document) {
    try {
      return DOCUMENTS.read(List.of(document)).size() == 1;
    } catch (InvalidResourceException e) {
      return false;
    }
  }

  @Test
  void whatStandsBeforeTheResources_isValid() {
    assertThat(
            SCHEMA.validate(
                "{\"managedBy\":\"a\",\"prune\":false,\"generation\":3,\"documents\":[]}",
                InputFormat.JSON))
        .isEmpty();
    assertThat(SCHEMA.validate("{\"managedby\":\"a\"}", InputFormat.JSON)).isNotEmpty();
    assertThat(SCHEMA.validate("{\"documents\":[{\"kind\":\"agent\"}]}", InputFormat.JSON))
        .isNotEmpty();
  }
}
