package io.valetkey.broker.sink;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Whatever we write is valid by the schemas of OCSF 1.6.0, which know no further fields. */
class OcsfMappingTest {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final Map<Integer, String> NAMES =
      Map.of(
          300201, "Logon",
          300202, "Logoff",
          600301, "Create",
          600302, "Read",
          600303, "Update",
          600304, "Delete");
  private static final String HASH = "ab".repeat(32);
  private static final String DECISION = "0199ab00-0000-7000-8000-000000000001";

  private static ObjectNode event(String action, String outcome) {
    ObjectNode event =
        JSON.createObjectNode()
            .put("schema", "valetkey.audit/1")
            .put("type", "record")
            .put("id", "4.17")
            .put("time", "2026-11-24T08:40:11.123Z")
            .put("decision_id", DECISION)
            .put("action", action)
            .put("outcome", outcome)
            .put("hash", HASH);
    for (String field :
        List.of("reason", "agent", "issuer", "subject", "destination", "scopes", "jti")) {
      event.putNull(field);
    }
    event.putObject("details");
    return event;
  }

  private static void requireValid(JsonNode ocsf) throws Exception {
    String name =
        switch (ocsf.get("class_uid").intValue()) {
          case 3002 -> "authentication";
          case 6003 -> "api_activity";
          default -> "base_event";
        };
    Path file = Path.of("../testdata/ocsf/" + name + ".schema.json");
    Schema schema =
        SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
            .getSchema(Files.readString(file));
    assertThat(schema.validate(ocsf.toString(), InputFormat.JSON)).as(ocsf.toString()).isEmpty();
    ObjectNode wrong = ((ObjectNode) ocsf.deepCopy()).put("no_such_attribute", 1);
    assertThat(schema.validate(wrong.toString(), InputFormat.JSON)).isNotEmpty();
  }

  /** What OCSF says in words: of the numbers to each other, and of the names beside numbers. */
  private static void requireRelated(JsonNode ocsf, String action) {
    int type = ocsf.get("type_uid").intValue();
    int activity = ocsf.get("activity_id").intValue();
    assertThat(type).isEqualTo(ocsf.get("class_uid").intValue() * 100 + activity);
    assertThat(ocsf.get("activity_name").stringValue()).isEqualTo(NAMES.getOrDefault(type, action));
    assertThat(ocsf.get("status").stringValue())
        .isEqualTo(ocsf.get("status_id").intValue() == 1 ? "Success" : "Failure");
  }

  @ParameterizedTest
  @CsvSource({
    "token.issue,      '',     300201",
    "console.sign_in,  '',     300201",
    "console.sign_out, '',     300202",
    "console.request,  POST,   600399",
    "token.introspect, '',     600302",
    "token.revoke,     '',     600304",
    "gateway.request,  '',     600399",
    "gateway.request,  GET,    600302",
    "gateway.request,  POST,   600301",
    "gateway.request,  PATCH,  600303",
    "gateway.request,  DELETE, 600304",
    "lease.create,     '',     600301",
    "lease.read,       '',     600302",
    "lease.renew,      '',     600303",
    "lease.release,    '',     600304",
    "lease.end,        '',     600304",
    "lease.irrevocable,'',     600399",
    "stop.create,      '',     600301",
    "stop.lift,        '',     600304",
    "stop.restore,     '',     600301",
    "signal.received,  '',     600399",
    "admin.create,     '',     600301",
    "admin.update,     '',     600303",
    "admin.delete,     '',     600304",
    "admin.apply,      '',     600303",
    "admin.request,    POST,   600399",
    "admin.test,       GET,    600399",
    "one.to.come,      '',     600399"
  })
  void everyAction_isValidAndHasItsType(String action, String method, int type) throws Exception {
    for (String outcome : List.of("granted", "refused", "failed")) {
      ObjectNode bare = event(action, outcome);
      ObjectNode full = event(action, outcome);
      for (String field :
          List.of("reason", "agent", "issuer", "subject", "destination", "scopes", "jti")) {
        full.put(field, "the-" + field);
      }
      full.putObject("details").put("actor", "ann").put("sender", "falco").put("status", 200);
      for (ObjectNode event : List.of(bare, full)) {
        if (!method.isEmpty()) {
          ((ObjectNode) event.get("details")).put("method", method);
        }
        JsonNode ocsf = OcsfMapping.map(event);
        requireValid(ocsf);
        assertThat(ocsf.get("type_uid").intValue()).isEqualTo(type);
        requireRelated(ocsf, action);
        assertThat(ocsf.at("/metadata/version").stringValue()).isEqualTo("1.6.0");
        assertThat(ocsf.at("/metadata/uid").stringValue()).isEqualTo(HASH);
        assertThat(ocsf.at("/metadata/correlation_uid").stringValue()).isEqualTo(DECISION);
        assertThat(ocsf.get("time").longValue()).isEqualTo(1_795_509_611_123L);
        assertThat(ocsf.get("status_id").intValue()).isEqualTo(outcome.equals("granted") ? 1 : 2);
      }
    }
  }

  @Test
  void whatHasNoPlace_isKept() {
    ObjectNode event = event("gateway.request", "refused").put("scopes", "chat files");
    event.put("issuer", "ci").put("reason", "insufficient_scope").put("jti", "a-token");
    event.putObject("details").put("path", "/v1/x").put("method", "GET");
    JsonNode ocsf = OcsfMapping.map(event);
    JsonNode rest = ocsf.at("/unmapped/valetkey");
    for (String field : List.of("id", "scopes", "issuer", "jti", "hash", "details")) {
      assertThat(rest.get(field)).as(field).isEqualTo(event.get(field));
    }
    assertThat(ocsf.get("status_code").stringValue()).isEqualTo("insufficient_scope");
    assertThat(ocsf.get("severity_id").intValue()).isEqualTo(2);
  }

  /** In a stop the agent is not who did it. */
  @Test
  void stopOfAnAgent_isByTheAdministratorAboutTheAgent() {
    ObjectNode event = event("stop.create", "granted").put("agent", "bot");
    event.putObject("details").put("actor", "ann").put("reason", "it went wild");
    JsonNode ocsf = OcsfMapping.map(event);
    assertThat(ocsf.at("/actor/user/name").stringValue()).isEqualTo("ann");
    assertThat(ocsf.at("/resources/0/type").stringValue()).isEqualTo("agent");
    assertThat(ocsf.at("/resources/0/name").stringValue()).isEqualTo("bot");
  }

  @Test
  void requestOfAnAgent_isByTheAgentToTheDestination() {
    ObjectNode event = event("gateway.request", "granted").put("agent", "bot");
    event.put("destination", "openai").put("subject", "system:serviceaccount:a:bot");
    JsonNode ocsf = OcsfMapping.map(event);
    assertThat(ocsf.at("/actor/user/name").stringValue()).isEqualTo("bot");
    assertThat(ocsf.at("/actor/user/uid").stringValue()).isEqualTo("system:serviceaccount:a:bot");
    assertThat(ocsf.at("/dst_endpoint/name").stringValue()).isEqualTo("openai");
  }

  @Test
  void signInToTheConsole_isByTheAdministrator() {
    ObjectNode event = event("console.sign_in", "granted");
    event.putObject("details").put("actor", "ann").put("via", "bootstrap");
    JsonNode ocsf = OcsfMapping.map(event);
    assertThat(ocsf.at("/user/name").stringValue()).isEqualTo("ann");
    assertThat(ocsf.at("/service/name").stringValue()).isEqualTo("valetkey");
    assertThat(ocsf.has("auth_protocol_id")).isFalse();
  }

  @Test
  void tokenOfAnAgent_isALogonOfTheAgentAtTheDestination() {
    ObjectNode event = event("token.issue", "granted").put("agent", "bot");
    event.put("destination", "openai").put("jti", "a-token");
    JsonNode ocsf = OcsfMapping.map(event);
    assertThat(ocsf.at("/user/name").stringValue()).isEqualTo("bot");
    assertThat(ocsf.at("/service/name").stringValue()).isEqualTo("openai");
    assertThat(ocsf.at("/session/uid").stringValue()).isEqualTo("a-token");
    assertThat(ocsf.get("auth_protocol_id").intValue()).isEqualTo(6);
  }

  @Test
  void leaseThatCannotBeTakenBack_isHigh() {
    assertThat(OcsfMapping.map(event("lease.irrevocable", "failed")).get("severity_id").intValue())
        .isEqualTo(4);
  }

  @Test
  void checkpoint_isABaseEventWithItsSignature() throws Exception {
    ObjectNode event =
        JSON.createObjectNode()
            .put("schema", "valetkey.audit/1")
            .put("type", "checkpoint")
            .put("id", "checkpoint 7")
            .put("time", "2026-11-24T08:40:11Z")
            .put("number", 7)
            .put("jws", "a.b.c");
    JsonNode ocsf = OcsfMapping.map(event);
    requireValid(ocsf);
    assertThat(ocsf.get("type_uid").intValue()).isEqualTo(99);
    assertThat(ocsf.at("/unmapped/valetkey/jws").stringValue()).isEqualTo("a.b.c");
    assertThat(ocsf.at("/metadata/uid").stringValue()).hasSize(64);
  }
}
