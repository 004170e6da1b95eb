package io.valetkey.broker.policy;

import io.valetkey.broker.condition.Conditions;
import io.valetkey.broker.condition.QueryValues;
import io.valetkey.broker.policy.AgentSpec.Identity;
import io.valetkey.broker.policy.DestinationSpec.AuditDetail;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.policy.DestinationSpec.Credential.ClientAuthentication;
import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import io.valetkey.broker.policy.DestinationSpec.Slot;
import io.valetkey.broker.policy.GrantSpec.Limits;
import io.valetkey.broker.policy.IssuerSpec.IssuerType;
import io.valetkey.broker.policy.IssuerSpec.Keys;
import io.valetkey.broker.policy.IssuerSpec.Replay;
import io.valetkey.broker.policy.IssuerSpec.TokenReview;
import io.valetkey.broker.policy.IssuerSpec.X509;
import io.valetkey.broker.policy.ScopeSpec.Rule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The one mapping between the JSON of a resource and its spec. Strict: an unknown field, a value of
 * another type and a missing field are errors, nothing is converted and no default is filled in.
 * What the values mean is the {@link ResourceValidator}'s business.
 */
public final class ResourceJson {

  private static final Credential NO_CREDENTIAL = new Credential.File("");
  private static final SignalRuleSpec.Match EVERYTHING =
      new SignalRuleSpec.Match(null, null, null, null);
  private static final String ANY_VALUE = "*";
  private static final Keys NO_KEYS = new Keys(null, null, null, null, null, null);

  /** Makes a mapping. */
  public ResourceJson() {}

  /**
   * Reads a resource.
   *
   * @throws InvalidResourceException naming everything that is wrong with its fields
   */
  public ResourceSpec read(ResourceKind kind, ObjectNode document) {
    return switch (kind) {
      case ISSUER -> JsonFields.read(document, ResourceJson::issuer);
      case AGENT -> JsonFields.read(document, ResourceJson::agent);
      case DESTINATION -> JsonFields.read(document, ResourceJson::destination);
      case SCOPE -> JsonFields.read(document, ResourceJson::scope);
      case GRANT -> JsonFields.read(document, ResourceJson::grant);
      case SIGNAL_RULE -> JsonFields.read(document, ResourceJson::signalRule);
    };
  }

  private static IssuerSpec issuer(JsonFields fields) {
    X509 x509 = fields.nested("x509", ResourceJson::x509);
    Keys keys = fields.nested("keys", ResourceJson::keys);
    return new IssuerSpec(
        fields.requiredChoice("type", IssuerType.class),
        fields.text("issuer"),
        fields.text("trustDomain"),
        x509 != null && x509.authorities() != null ? keys : fields.required("keys", keys, NO_KEYS),
        fields.texts("algorithms"),
        fields.duration("maxTokenAge"),
        fields.choice("replay", Replay.class),
        fields.nested("tokenReview", ResourceJson::tokenReview),
        x509,
        fields.flag("enabled"));
  }

  private static Keys keys(JsonFields fields) {
    ObjectNode jwks = fields.object("jwks");
    return new Keys(
        jwks == null ? null : plainObject(jwks),
        fields.text("jwksUri"),
        fields.flag("discovery"),
        fields.text("bundleUri"),
        fields.text("caCertificate"),
        fields.text("bearerTokenFile"));
  }

  private static TokenReview tokenReview(JsonFields fields) {
    return new TokenReview(
        fields.requiredText("apiServer"),
        fields.text("caCertificate"),
        fields.text("bearerTokenFile"));
  }

  private static X509 x509(JsonFields fields) {
    return new X509(
        fields.text("authorities"), fields.flag("fromBundleUri"), fields.duration("maxAge"));
  }

  private static AgentSpec agent(JsonFields fields) {
    return new AgentSpec(
        fields.requiredList("identities", ResourceJson::identity),
        fields.duration("maxTokenTtl"),
        fields.flag("enabled"));
  }

  private static Identity identity(JsonFields fields) {
    return new Identity(
        fields.requiredText("issuer"), fields.requiredText("subject"), fields.textMap("claims"));
  }

  private static DestinationSpec destination(JsonFields fields) {
    DestinationKind kind = fields.requiredChoice("kind", DestinationKind.class);
    Credential.VaultPki clientCertificate =
        fields.nested("clientCertificate", ResourceJson::clientCertificate);
    return new DestinationSpec(
        kind,
        fields.requiredText("origin"),
        destinationCredential(kind, clientCertificate != null, fields),
        clientCertificate,
        fields.nested("slot", ResourceJson::slot),
        fields.list("slots", ResourceJson::slot),
        fields.nested("signing", ResourceJson::signing),
        fields.duration("timeout"),
        fields.duration("maxStream"),
        fields.size("maxRequestBody"),
        fields.flag("http2"),
        fields.choice("audit", AuditDetail.class),
        fields.flag("rewriteBodies"),
        fields.flag("rawPath"),
        fields.flag("enabled"));
  }

  private static Credential destinationCredential(
      DestinationKind kind, boolean certified, JsonFields fields) {
    Credential written = fields.nested("credential", ResourceJson::credential);
    boolean optional =
        kind == DestinationKind.TUNNEL || (kind == DestinationKind.HTTP && certified);
    return optional && written == null
        ? new Credential.None()
        : fields.required("credential", written, NO_CREDENTIAL);
  }

  private static Credential.VaultPki clientCertificate(JsonFields fields) {
    if (!fields.requiredText("source").equals("vault-pki")) {
      fields.errorUnlessMissing("source", "must be vault-pki");
    }
    return new Credential.VaultPki(
        fields.requiredText("mount"),
        fields.requiredText("role"),
        fields.text("commonName"),
        fields.text("uriSan"),
        fields.duration("ttl"));
  }

  private static Credential credential(JsonFields fields) {
    String source = fields.text("source");
    return switch (source) {
      case "oauth-client-credentials" ->
          new Credential.ClientCredentials(
              fields.requiredText("tokenEndpoint"),
              fields.requiredText("clientId"),
              authentication(fields),
              secret(fields),
              fields.text("keyId"),
              fields.text("scope"),
              fields.text("audience"),
              fields.text("resource"));
      case "oauth-jwt-bearer" ->
          new Credential.JwtBearer(
              fields.requiredText("tokenEndpoint"),
              fields.requiredText("issuer"),
              fields.text("subject"),
              fields.text("audience"),
              secret(fields),
              fields.text("keyId"),
              fields.text("scope"));
      case "github-app" ->
          new Credential.GitHubApp(
              fields.text("api"),
              fields.requiredText("appId"),
              fields.requiredText("installationId"),
              secret(fields),
              fields.texts("repositories"),
              fields.textMap("permissions"));
      case "federated" ->
          new Credential.Federated(
              fields.requiredText("tokenEndpoint"),
              fields.requiredChoice("grant", Credential.FederatedGrant.class),
              fields.requiredText("subject"),
              fields.text("audience"),
              fields.text("clientId"),
              fields.text("scope"),
              fields.textMap("parameters"));
      case "aws-web-identity" ->
          new Credential.AwsWebIdentity(
              fields.requiredText("tokenEndpoint"),
              fields.requiredText("roleArn"),
              fields.requiredText("subject"),
              fields.text("audience"),
              fields.duration("duration"),
              text(fields.object("sessionPolicy")),
              null);
      case "vault-kv" ->
          new Credential.VaultKv(
              fields.requiredText("mount"), fields.requiredText("path"), fields.text("field"));
      case "file" -> new Credential.File(fields.requiredText("name"));
      case "vault-dynamic" ->
          new Credential.VaultDynamic(
              fields.requiredText("mount"),
              fields.requiredText("role"),
              fields.choice("engine", LeaseEngine.class),
              fields.flag("static"),
              fields.textMap("parameters"));
      case "vault-pki" -> {
        fields.ignoreRest();
        fields.error(
            "source",
            FieldError.UNSUPPORTED,
            "is no credential for a header: see clientCertificate");
        yield NO_CREDENTIAL;
      }
      case null -> {
        fields.ignoreRest();
        yield fields.required("source", null, NO_CREDENTIAL);
      }
      default -> {
        fields.ignoreRest();
        fields.error(
            "source",
            FieldError.UNSUPPORTED,
            "is not a supported source; supported now: vault-kv, vault-dynamic, file,"
                + " oauth-client-credentials, oauth-jwt-bearer, github-app, federated,"
                + " aws-web-identity");
        yield NO_CREDENTIAL;
      }
    };
  }

  private static @Nullable String text(@Nullable ObjectNode object) {
    return object == null ? null : object.toString();
  }

  private static ClientAuthentication authentication(JsonFields fields) {
    ClientAuthentication written = fields.choice("authentication", ClientAuthentication.class);
    return written == null ? ClientAuthentication.CLIENT_SECRET_BASIC : written;
  }

  /** What proves who we are to a provider: stored, and nothing that has to be fetched in turn. */
  private static Credential secret(JsonFields fields) {
    return fields.required(
        "secret", fields.nested("secret", ResourceJson::credential), NO_CREDENTIAL);
  }

  private static Slot slot(JsonFields fields) {
    return new Slot(
        fields.text("header"),
        fields.text("format"),
        fields.nested("basic", basic -> new Slot.Basic(basic.requiredText("username"))),
        fields.text("field"));
  }

  private static Signing signing(JsonFields fields) {
    String type = fields.requiredText("type");
    return switch (type) {
      case "aws-sigv4" ->
          new Signing.AwsSigV4(fields.requiredText("service"), fields.requiredText("region"));
      case "hmac-sha256" -> hmac(Signing.Hmac.Algorithm.SHA256, fields);
      case "hmac-sha512" -> hmac(Signing.Hmac.Algorithm.SHA512, fields);
      case "http-message-signature" ->
          new Signing.HttpMessage(
              keyEncoding(fields),
              fields.text("keyId"),
              fields.requiredText("label"),
              fields.requiredTexts("components"),
              fields.duration("expires"));
      default -> {
        fields.ignoreRest();
        fields.errorUnlessMissing(
            "type", "must be one of: aws-sigv4, hmac-sha256, hmac-sha512, http-message-signature");
        yield new Signing.AwsSigV4("s3", "none");
      }
    };
  }

  private static Signing.Hmac hmac(Signing.Hmac.Algorithm algorithm, JsonFields fields) {
    Signing.Hmac.TimeForm timestamp = fields.choice("timestamp", Signing.Hmac.TimeForm.class);
    return new Signing.Hmac(
        algorithm,
        keyEncoding(fields),
        timestamp == null ? Signing.Hmac.TimeForm.SECONDS : timestamp,
        template(fields, "message"),
        fields.requiredList(
            "headers",
            header ->
                new Signing.Hmac.Header(header.requiredText("header"), template(header, "value"))));
  }

  private static Signing.KeyEncoding keyEncoding(JsonFields fields) {
    Signing.KeyEncoding written = fields.choice("keyEncoding", Signing.KeyEncoding.class);
    return written == null ? Signing.KeyEncoding.TEXT : written;
  }

  private static SignatureTemplate template(JsonFields fields, String name) {
    String text = fields.requiredText(name);
    try {
      return SignatureTemplate.parse(text);
    } catch (IllegalArgumentException e) {
      fields.errorUnlessMissing(name, String.valueOf(e.getMessage()));
      return SignatureTemplate.NOTHING;
    }
  }

  private static ScopeSpec scope(JsonFields fields) {
    ScopeSpec.Lease lease = fields.nested("lease", ResourceJson::leaseTerms);
    Boolean tunnel = fields.flag("tunnel");
    return new ScopeSpec(
        lease == null && tunnel == null
            ? fields.requiredList("allow", ResourceJson::rule)
            : List.of(),
        lease,
        tunnel,
        fields.duration("maxTokenTtl"),
        fields.nested("approval", ResourceJson::approval));
  }

  private static ScopeSpec.Approval approval(JsonFields fields) {
    return new ScopeSpec.Approval(fields.duration("validFor"), fields.duration("hold"));
  }

  private static Rule rule(JsonFields fields) {
    return new Rule(
        fields.requiredTexts("methods"),
        fields.requiredTexts("paths"),
        fields.flag("webSocket"),
        conditions(fields));
  }

  private static @Nullable Conditions conditions(JsonFields fields) {
    Conditions conditions =
        new Conditions(
            fields.map("query", "a list of strings, or \"*\"", ResourceJson::queryValues),
            fields.texts("contentTypes"),
            bytes(fields.size("maxBody")),
            fields.nested("jsonRpc", ResourceJson::jsonRpc),
            fields.text("when"),
            bytes(fields.size("maxConditionBody")));
    return conditions.isEmpty() ? null : conditions;
  }

  private static @Nullable Long bytes(DestinationSpec.@Nullable ByteSize size) {
    return size == null ? null : size.bytes();
  }

  private static Conditions.JsonRpc jsonRpc(JsonFields fields) {
    return new Conditions.JsonRpc(
        fields.requiredTexts("methods"), fields.texts("tools"), fields.flag("responses"));
  }

  private static @Nullable QueryValues queryValues(JsonNode written) {
    if (written.isString()) {
      return written.stringValue().equals(ANY_VALUE) ? new QueryValues.Any() : null;
    }
    if (!written.isArray() || !written.valueStream().allMatch(JsonNode::isString)) {
      return null;
    }
    return new QueryValues.OneOf(written.valueStream().map(JsonNode::stringValue).toList());
  }

  private static ScopeSpec.Lease leaseTerms(JsonFields fields) {
    return new ScopeSpec.Lease(
        fields.text("role"), fields.duration("maxTtl"), fields.integer("maxLive"));
  }

  private static GrantSpec grant(JsonFields fields) {
    return new GrantSpec(
        fields.requiredText("agent"),
        fields.requiredText("destination"),
        fields.requiredTexts("scopes"),
        fields.nested("limits", ResourceJson::limits),
        fields.time("expiresAt"));
  }

  private static Limits limits(JsonFields fields) {
    return new Limits(
        fields.integer("requestsPerMinute"),
        fields.integer("modelTokensPerHour"),
        fields.integer("modelTokensPerDay"),
        fields.size("bytesPerDay"),
        fields.integer("concurrentStreams"));
  }

  private static SignalRuleSpec signalRule(JsonFields fields) {
    return new SignalRuleSpec(
        fields.requiredChoice("source", SignalRuleSpec.Source.class),
        fields.required("match", fields.nested("match", ResourceJson::match), EVERYTHING),
        fields.requiredChoice("action", SignalRuleSpec.Action.class),
        fields.duration("stopFor"),
        fields.texts("agents"),
        fields.flag("enabled"));
  }

  private static SignalRuleSpec.Match match(JsonFields fields) {
    return new SignalRuleSpec.Match(
        fields.text("rule"),
        fields.text("policy"),
        fields.text("event"),
        fields.choice("minPriority", SignalRuleSpec.Priority.class));
  }

  private static Map<String, Object> plainObject(ObjectNode object) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : object.properties()) {
      Object value = plain(entry.getValue());
      if (value != null) {
        map.put(entry.getKey(), value);
      }
    }
    return map;
  }

  private static @Nullable Object plain(JsonNode node) {
    return switch (node) {
      case ObjectNode object -> plainObject(object);
      case JsonNode array when array.isArray() -> {
        List<@Nullable Object> list = new ArrayList<>();
        array.forEach(element -> list.add(plain(element)));
        yield list;
      }
      case JsonNode value when value.isString() -> value.stringValue();
      case JsonNode value when value.isBoolean() -> value.booleanValue();
      case JsonNode value when value.isIntegralNumber() && value.canConvertToLong() ->
          value.longValue();
      case JsonNode value when value.isNull() -> null;
      default -> node.numberValue();
    };
  }
}
