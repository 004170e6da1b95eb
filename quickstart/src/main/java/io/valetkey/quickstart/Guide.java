package io.valetkey.quickstart;

import java.util.Map;

/** What is said once the walk is over: where everything is, and how to do each step by hand. */
final class Guide {

  private static final String ENVIRONMENT =
      """
      # Addresses of this quick start; ". <this file>" before the lines that it printed.
      D={folder}
      API={api}
      GATEWAY={gateway}
      """;

  private static final String TEXT =
      """

      Still running, on 127.0.0.1 only, NOT FOR PRODUCTION. Ctrl-C ends everything.
        API and admin {api}   gateway {gateway}   health {management}/actuator/health
        console       {api}/console   sign in with the bootstrap token
        credential    {credential}
        admin         bootstrap token in {folder}/bootstrap-token (good for one hour)

      The same by hand, in another shell:
        . {folder}/env
        # the agent: prove who it is, get a token, use it; then what it must not do
        TOKEN=$(curl -s $API/oauth2/token -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
          -d subject_token_type=urn:ietf:params:oauth:token-type:jwt --data-urlencode subject_token@$D/identity-token \\
          -d audience=openai | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
        curl -s $GATEWAY/d/openai/v1/chat/completions -H "Authorization: Bearer $TOKEN" -d '{"messages":[]}'
        curl -sN $GATEWAY/d/openai/v1/chat/completions -H "Authorization: Bearer $TOKEN" -d '{"stream":true}'
        curl -s $GATEWAY/d/openai/v1/models -H "Authorization: Bearer $TOKEN"
        # the platform engineer: why was that refused? then allow it, and try it again
        curl -s -H @$D/admin $API/admin/v1/decisions/<decision_id of the answer>
        curl -s -H @$D/admin -H "If-Match: *" -X PUT $API/admin/v1/destinations/openai/scopes/chat -d \\
          '{"allow":[{"methods":["POST"],"paths":["/v1/chat/completions"]},{"methods":["GET"],"paths":["/v1/models"]}]}'
        # stop the agent, see what it did, lift the stop
        curl -s -H @$D/admin $API/admin/v1/stops -d '{"target":{"agent":"demo-agent"},"reason":"trying it out"}'
        curl -s -H @$D/admin "$API/admin/v1/audit?agent=demo-agent&limit=5"
        curl -s -H @$D/admin -X DELETE $API/admin/v1/stops/<id of the stop> -d '{"reason":"tried"}'
      """;

  private Guide() {}

  /** Writes the files that the lines use, and answers the text. */
  static String write(
      PrivateFolder folder, Ports ports, CredentialStore credentials, String bootstrapToken) {
    Map<String, String> values =
        Map.of(
            "{folder}", folder.path().toString(),
            "{api}", ports.apiUrl(),
            "{gateway}", ports.gatewayUrl(),
            "{management}", ports.managementUrl(),
            "{credential}", credentials.description());
    folder.write("bootstrap-token", bootstrapToken);
    // For curl's -H @file: a token on the command line can be read by everyone on the machine.
    folder.write(
        "admin", "Authorization: Bearer " + bootstrapToken + "\nContent-Type: application/json\n");
    folder.write("env", fill(ENVIRONMENT, values));
    return fill(TEXT, values);
  }

  private static String fill(String text, Map<String, String> values) {
    String filled = text;
    for (Map.Entry<String, String> value : values.entrySet()) {
      filled = filled.replace(value.getKey(), value.getValue());
    }
    return filled;
  }
}
