package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StartTest {

  @Test
  void start_onAnEmptyDatabase_answersMetadataAndKeys() throws Exception {
    try (RunningBroker broker = RunningBroker.start(Map.of());
        HttpClient client = HttpClient.newHttpClient()) {
      HttpResponse<String> jwks =
          client.send(
              HttpRequest.newBuilder(broker.api("/oauth2/jwks")).build(),
              HttpResponse.BodyHandlers.ofString());
      assertThat(jwks.statusCode()).isEqualTo(200);
      assertThat(jwks.body()).contains("\"kty\":\"EC\"").doesNotContain("\"d\":");
      HttpResponse<String> token =
          client.send(
              HttpRequest.newBuilder(broker.api("/oauth2/token"))
                  .header("Content-Type", "application/x-www-form-urlencoded")
                  .POST(HttpRequest.BodyPublishers.ofString("grant_type=client_credentials"))
                  .build(),
              HttpResponse.BodyHandlers.ofString());
      assertThat(token.statusCode()).as(token.body()).isEqualTo(401);
      assertThat(token.body()).contains("invalid_client").contains("decision_id");
      try (var connection = broker.database();
          var rows =
              connection
                  .createStatement()
                  .executeQuery(
                      "SELECT outcome, reason FROM audit_record WHERE action = 'token.issue'")) {
        assertThat(rows.next()).isTrue();
        assertThat(rows.getString(1)).isEqualTo("refused");
        assertThat(rows.getString(2)).isEqualTo("invalid_client");
      }
    }
  }

  @Test
  void start_withWrongSettings_namesAllOfThemAtOnce() {
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.public-url", "http://broker.example",
                    "valetkey.stop.staleness", "1d",
                    "valetkey.gatway.port", "1")))
        .hasMessageContaining("valetkey.public-url: must be https")
        .hasMessageContaining("valetkey.stop.staleness: must be a duration")
        .hasMessageContaining("valetkey.gatway.port: there is no such setting");
  }

  @Test
  void start_withHalfOfMutualTls_isRefused() {
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.mtls.port", "1",
                    "valetkey.mtls.public-url", "http://127.0.0.1:1",
                    "valetkey.gateway.client-certificates", "true")))
        .hasMessageContaining("valetkey.mtls.public-url: must be https")
        .hasMessageContaining("valetkey.mtls.ssl-bundle: is missing")
        .hasMessageContaining("valetkey.gateway.client-certificates: needs");
    assertThatThrownBy(() -> RunningBroker.start(Map.of("valetkey.mtls.ssl-bundle", "own")))
        .hasMessageContaining("valetkey.mtls.port: is missing");
  }

  @Test
  void start_withWrongSettingsOfTheAuditTrail_namesAllOfThemAtOnce() {
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.ofEntries(
                    Map.entry("valetkey.audit.checkpoint-interval", "1ms"),
                    Map.entry("valetkey.audit.retention", "1d"),
                    Map.entry("valetkey.audit.signing-key", "/no/such/key.pem"),
                    Map.entry("valetkey.audit.sinks.stdout", "yes"),
                    Map.entry("valetkey.audit.sinks.stdout.format", "cef"),
                    Map.entry("valetkey.audit.sinks.file", "/no/such/folder/audit.log"),
                    Map.entry("valetkey.audit.sinks.webhook.url", "http://siem.example"),
                    Map.entry("valetkey.audit.sinks.webhook.hmac-file", "/no/such/key"),
                    Map.entry("valetkey.audit.sinks.syslog.address", "logs.example"),
                    Map.entry("valetkey.audit.sinks.syslog.tls", "maybe"),
                    Map.entry("valetkey.audit.sinks.otlp.url", "ftp://collector.example"),
                    Map.entry("valetkey.audit.sinks.kafka.format", "ocsf"))))
        .hasMessageContaining("valetkey.audit.checkpoint-interval: must be a duration")
        .hasMessageContaining("valetkey.audit.retention: must be a duration")
        .hasMessageContaining("valetkey.audit.signing-key: ")
        .hasMessageContaining("valetkey.audit.sinks.stdout: must be true or false")
        .hasMessageContaining("valetkey.audit.sinks.stdout.format: must be valetkey or ocsf")
        .hasMessageContaining("valetkey.audit.sinks.file: must be a file in a directory")
        .hasMessageContaining("valetkey.audit.sinks.webhook.url: must be https")
        .hasMessageContaining("valetkey.audit.sinks.webhook.hmac-file: is not a file")
        .hasMessageContaining("valetkey.audit.sinks.syslog.address: must be host:port")
        .hasMessageContaining("valetkey.audit.sinks.syslog.tls: must be true or false")
        .hasMessageContaining("valetkey.audit.sinks.otlp.url: must be https")
        .hasMessageContaining("valetkey.audit.sinks.kafka.format: there is no such setting");
  }

  @Test
  void start_withAHostSuffixThatCannotBe_isRefused() {
    assertThatThrownBy(() ->
            RunningBroker.start(Map.of("valetkey.gateway.host-suffix", "Gateway.example:8090")))
        .hasMessageContaining("valetkey.gateway.host-suffix: must be a domain name in lower case");
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.gateway.public-url", "https://Gateway.example.com:8443",
                    "valetkey.gateway.host-suffix", "example.com")))
        .hasMessageContaining("valetkey.gateway.host-suffix: must not be a part of the host");
  }

  @Test
  void start_withAConsoleThatIsTheAudience_isRefusedWithWhateverElseIsWrong() {
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.admin.oidc.issuer", "https://login.example",
                    "valetkey.admin.oidc.audience", "valetkey",
                    "valetkey.admin.oidc.role-mapping", "platform=root",
                    "valetkey.console.oidc.client-id", "valetkey",
                    "valetkey.console.oidc.client-secret-file", "/nowhere/secret",
                    "valetkey.console.oidc.scopes", "email",
                    "valetkey.console.oidc.token-endpoint", "http://login.example/token")))
        .hasMessageContaining(
            "valetkey.console.oidc.client-id: must not be valetkey.admin.oidc.audience")
        .hasMessageContaining("valetkey.admin.oidc.role-mapping: must be value=role")
        .hasMessageContaining(
            "valetkey.console.oidc.client-secret-file: is not a file that can be read")
        .hasMessageContaining("valetkey.console.oidc.scopes: must contain openid")
        .hasMessageContaining("valetkey.console.oidc.token-endpoint: must be an https URL");
  }

  @Test
  void start_withAConsoleAtNoProvider_isRefused() {
    assertThatThrownBy(() ->
            RunningBroker.start(Map.of("valetkey.console.oidc.client-id", "valetkey-console")))
        .hasMessageContaining("valetkey.admin.oidc.issuer: is missing");
  }
}
