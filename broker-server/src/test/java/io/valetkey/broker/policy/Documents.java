package io.valetkey.broker.policy;

import java.nio.charset.StandardCharsets;
import tools.jackson.databind.node.ObjectNode;

/** Named sample documents. */
public final class Documents {

  private Documents() {}

  public static final String OIDC_ISSUER =
      """
      {"type": "oidc", "issuer": "https://idp.example.com/%s", "keys": {"discovery": true}}\
      """;

  public static final String SPIFFE_ISSUER =
      """
      {"type": "spiffe", "trustDomain": "td-a.test", "keys": {"bundleUri": "https://spire.test/b"}}\
      """;

  public static final String DESTINATION =
      """
      {"kind": "http", "origin": "https://api.openai.com",
       "credential": {"source": "vault-kv", "mount": "secret", "path": "agents/openai", "field": "api_key"}}\
      """;

  public static final String SCOPE =
      """
      {"allow": [{"methods": ["POST"], "paths": ["/v1/chat/completions", "/v1/files/*", "/v1/threads/**"]}]}\
      """;

  public static final String GRANT =
      """
      {"agent": "claims-bot", "destination": "openai", "scopes": ["chat"]}\
      """;

  public static String agent(String issuer, String subject) {
    return """
    {"identities": [{"issuer": "%s", "subject": "%s"}]}\
    """
        .formatted(issuer, subject);
  }

  public static ObjectNode json(String text) {
    return new StrictJson().object(text.getBytes(StandardCharsets.UTF_8));
  }
}
