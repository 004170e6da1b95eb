package io.valetkey.broker.sink;

import io.valetkey.broker.crypto.Sha256;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Our events as those of the Open Cybersecurity Schema Framework, version {@value #VERSION}: issued
 * tokens and sign-ins as Authentication, checkpoints as Base Event, everything else as API
 * Activity. What has no place there is kept below {@code unmapped}.
 */
final class OcsfMapping {

  static final String VERSION = "1.6.0";

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final String UNKNOWN = "unknown";
  private static final List<String> REST =
      List.of("schema", "id", "issuer", "scopes", "jti", "hash", "details", "number", "jws");

  private static final List<String> OBJECTS = List.of("agent", "issuer", "destination");
  private static final List<String> WORKLOAD = List.of("token.", "gateway.", "lease.");

  private static final String SERVICE = "valetkey";

  private static final int OAUTH_2 = 6;
  private static final int OTHER = 99;

  private OcsfMapping() {}

  private enum OcsfClass {
    BASE_EVENT(0, 0),
    AUTHENTICATION(3, 3002),
    API_ACTIVITY(6, 6003);

    private final int category;
    private final int uid;

    OcsfClass(int category, int uid) {
      this.category = category;
      this.uid = uid;
    }
  }

  /** The same event in OCSF. */
  static ObjectNode map(JsonNode event) {
    if (event.path("type").asString().equals("checkpoint")) {
      return checkpoint(event);
    }
    return switch (event.path("action").asString()) {
      case "token.issue" ->
          authentication(event, 1, "Logon", text(event, "destination", UNKNOWN))
              .put("auth_protocol_id", OAUTH_2)
              .put("auth_protocol", "OAUTH 2.0");
      case "console.sign_in" -> authentication(event, 1, "Logon", SERVICE);
      case "console.sign_out" -> authentication(event, 2, "Logoff", SERVICE);
      default -> apiActivity(event);
    };
  }

  private static ObjectNode checkpoint(JsonNode event) {
    ObjectNode ocsf = start(event, OcsfClass.BASE_EVENT, OTHER, "checkpoint");
    String jws = event.path("jws").asString();
    metadata(ocsf, "checkpoint").put("uid", HexFormat.of().formatHex(Sha256.of(jws)));
    return ocsf.put("severity_id", 1).put("status_id", 1);
  }

  private static ObjectNode authentication(
      JsonNode event, int activity, String name, String service) {
    ObjectNode ocsf = record(event, OcsfClass.AUTHENTICATION, activity, name);
    ocsf.set("user", user(event));
    ocsf.putObject("service").put("name", service);
    String jti = text(event, "jti");
    if (jti != null) {
      ocsf.putObject("session").put("uid", jti);
    }
    return ocsf;
  }

  private static ObjectNode apiActivity(JsonNode event) {
    String action = event.path("action").asString();
    int activity = activity(action, event.path("details").path("method").asString(""));
    ObjectNode ocsf = record(event, OcsfClass.API_ACTIVITY, activity, name(activity, action));
    ocsf.putObject("actor").set("user", user(event));
    ocsf.putObject("src_endpoint").put("name", caller(event));
    ObjectNode api = ocsf.putObject("api").put("operation", action);
    api.putObject("request").put("uid", event.path("decision_id").asString());
    api.putObject("service").put("name", SERVICE);
    String destination = text(event, "destination");
    if (destination != null) {
      ocsf.putObject("dst_endpoint").put("name", destination);
    }
    ArrayNode resources = JSON.createArrayNode();
    for (String kind : isOfAWorkload(event) ? List.of("destination") : OBJECTS) {
      String name = text(event, kind);
      if (name != null) {
        resources.addObject().put("type", kind).put("name", name);
      }
    }
    if (!resources.isEmpty()) {
      ocsf.set("resources", resources);
    }
    return ocsf;
  }

  /** 1 Create, 2 Read, 3 Update, 4 Delete: of what the action is about, or of an HTTP method. */
  private static int activity(String action, String method) {
    return switch (action.equals("gateway.request") ? method : action) {
      case "POST", "admin.create", "lease.create", "stop.create", "stop.restore" -> 1;
      case "GET", "HEAD", "lease.read", "token.introspect" -> 2;
      case "PUT", "PATCH", "admin.update", "admin.apply", "lease.renew" -> 3;
      case "DELETE", "admin.delete", "lease.end", "lease.release", "stop.lift", "token.revoke" -> 4;
      default -> OTHER;
    };
  }

  /** The caption of OCSF; only Other has a name of ours. */
  private static String name(int activity, String action) {
    return switch (activity) {
      case 1 -> "Create";
      case 2 -> "Read";
      case 3 -> "Update";
      case 4 -> "Delete";
      default -> action;
    };
  }

  private static ObjectNode record(JsonNode event, OcsfClass to, int activity, String name) {
    ObjectNode ocsf = start(event, to, activity, name);
    String action = event.path("action").asString();
    String outcome = event.path("outcome").asString();
    String reason = text(event, "reason");
    metadata(ocsf, action)
        .put("uid", event.path("hash").asString())
        .put("correlation_uid", event.path("decision_id").asString());
    boolean granted = outcome.equals("granted");
    ocsf.put("severity_id", severity(action, outcome));
    ocsf.put("status_id", granted ? 1 : 2).put("status", granted ? "Success" : "Failure");
    ocsf.put("status_detail", outcome);
    if (reason != null) {
      ocsf.put("status_code", reason);
    }
    return ocsf.put("message", action + " " + outcome + (reason == null ? "" : ": " + reason));
  }

  /** 1 Informational, 2 Low, 3 Medium, 4 High: a credential that cannot be taken back. */
  private static int severity(String action, String outcome) {
    if (action.equals("lease.irrevocable")) {
      return 4;
    }
    return switch (outcome) {
      case "granted" -> 1;
      case "refused" -> 2;
      default -> 3;
    };
  }

  private static ObjectNode start(JsonNode event, OcsfClass to, int activity, String name) {
    ObjectNode ocsf =
        JSON.createObjectNode()
            .put("category_uid", to.category)
            .put("class_uid", to.uid)
            .put("activity_id", activity)
            .put("activity_name", name)
            .put("type_uid", to.uid * 100L + activity)
            .put("time", Instant.parse(event.path("time").asString()).toEpochMilli());
    ObjectNode rest = ocsf.putObject("unmapped").putObject("valetkey");
    for (String field : REST) {
      JsonNode value = event.path(field);
      if (!value.isMissingNode() && !value.isNull()) {
        rest.set(field, value);
      }
    }
    return ocsf;
  }

  private static ObjectNode metadata(ObjectNode ocsf, String code) {
    ObjectNode metadata = ocsf.putObject("metadata").put("version", VERSION);
    metadata.putObject("product").put("name", "Valetkey").put("vendor_name", "Valetkey");
    return metadata.put("log_name", "audit").put("event_code", code);
  }

  private static ObjectNode user(JsonNode event) {
    ObjectNode user = JSON.createObjectNode().put("name", caller(event));
    String subject = text(event, "subject");
    return subject == null || !isOfAWorkload(event) ? user : user.put("uid", subject);
  }

  /** The agent, else whom the issuer named; the administrator or the sender of a signal. */
  private static String caller(JsonNode event) {
    if (isOfAWorkload(event)) {
      String agent = text(event, "agent");
      return agent == null ? text(event, "subject", UNKNOWN) : agent;
    }
    String actor = text(event.path("details"), "actor");
    return actor == null ? text(event.path("details"), "sender", UNKNOWN) : actor;
  }

  /** Elsewhere the agent of a record is not who did it but what it was done to. */
  private static boolean isOfAWorkload(JsonNode event) {
    String action = event.path("action").asString();
    return WORKLOAD.stream().anyMatch(action::startsWith);
  }

  private static @Nullable String text(JsonNode node, String field) {
    return node.path(field).isString() ? node.path(field).stringValue() : null;
  }

  private static String text(JsonNode node, String field, String otherwise) {
    String text = text(node, field);
    return text == null ? otherwise : text;
  }
}
