package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.evidence.Checkpoints;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The management port shows health and metrics, and nothing else. */
class ManagementTest {

  private static HttpResponse<String> get(HttpClient client, String url) throws Exception {
    return client.send(
        HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void managementPort_showsHealthAndMetricsAndNothingElse() throws Exception {
    try (RunningBroker broker = RunningBroker.start(Map.of());
        HttpClient client = HttpClient.newHttpClient()) {
      String actuator = broker.managementUrl() + "/actuator";
      assertThat(get(client, actuator + "/health/liveness").body())
          .isEqualTo("{\"status\":\"UP\"}");
      assertThat(get(client, actuator + "/health/readiness").body())
          .isEqualTo("{\"status\":\"UP\"}");
      assertThat(get(client, actuator + "/prometheus").body())
          .contains("valetkey_stop_view_age_seconds", "valetkey_audit_records_total");
      for (String hidden : new String[] {"env", "configprops", "heapdump", "beans", "loggers"}) {
        assertThat(get(client, actuator + "/" + hidden).statusCode())
            .as(hidden)
            .isIn(401, 403, 404);
      }
      assertThat(get(client, broker.url() + "/actuator/health").statusCode()).isIn(401, 403, 404);
    }
  }

  @Test
  void gatewayRole_opensNoIssuingEndpoint() throws Exception {
    try (RunningBroker issuer = RunningBroker.start(Map.of());
        RunningBroker gateway = issuer.replica(Map.of("valetkey.roles", "gateway"));
        HttpClient client = HttpClient.newHttpClient()) {
      assertThat(get(client, gateway.gatewayUrl() + "/d/x/y").statusCode()).isEqualTo(401);
      assertThat(get(client, gateway.managementUrl() + "/actuator/health/readiness").statusCode())
          .isEqualTo(200);
      assertThat(get(client, gateway.managementUrl() + "/actuator/prometheus").body())
          .contains("valetkey_gateway_requests_total");
      for (String hidden : new String[] {"/actuator/env", "/actuator/beans", "/", "/admin/v1"}) {
        assertThat(get(client, gateway.managementUrl() + hidden).statusCode())
            .as(hidden)
            .isIn(401, 403, 404);
      }
      org.assertj.core.api.Assertions.assertThatThrownBy(
              () -> get(client, gateway.url() + "/oauth2/jwks"))
          .isInstanceOf(java.net.ConnectException.class);
    }
  }

  @Test
  void gatewayRole_makesNoCheckpointsAndReadsNoSigningKey() throws Exception {
    try (RunningBroker issuer = RunningBroker.start(Map.of());
        RunningBroker gateway =
            issuer.replica(
                Map.of(
                    "valetkey.roles",
                    "gateway",
                    "valetkey.audit.signing-key",
                    "/no/such/key.pem"))) {
      assertThat(issuer.context().getBeanNamesForType(Checkpoints.class)).hasSize(1);
      assertThat(gateway.context().getBeanNamesForType(Checkpoints.class)).isEmpty();
    }
  }

  @Test
  void issuerRole_opensNoGateway() throws Exception {
    try (RunningBroker issuer = RunningBroker.start(Map.of("valetkey.roles", "issuer"));
        HttpClient client = HttpClient.newHttpClient()) {
      assertThat(get(client, issuer.url() + "/oauth2/jwks").statusCode()).isEqualTo(200);
      org.assertj.core.api.Assertions.assertThatThrownBy(
              () -> get(client, issuer.gatewayUrl() + "/d/x/y"))
          .isInstanceOf(java.net.ConnectException.class);
    }
  }
}
