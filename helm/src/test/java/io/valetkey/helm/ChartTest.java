package io.valetkey.helm;

import static io.valetkey.helm.Rendered.each;
import static io.valetkey.helm.Rendered.texts;
import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsHelm;
import io.valetkey.realparts.Python;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.yaml.snakeyaml.Yaml;
import tools.jackson.databind.JsonNode;

/** What the chart renders. */
@NeedsHelm
class ChartTest {

  static final List<String> SETS = Chart.VALUE_SETS;

  /** The oldest that the chart takes, one between, the newest that is known. */
  private static final List<String> KUBERNETES = List.of("1.30", "1.34", "1.37");

  @TempDir Path folder;

  @ParameterizedTest
  @FieldSource("SETS")
  void lint_isStrictAndFindsNothing(String set) {
    assertThat(
            Chart.helm(
                    Map.of(), "lint", "--strict", Chart.FOLDER.toString(), "-f", Chart.values(set))
                .successfully())
        .doesNotContain("[WARNING]", "[ERROR]");
  }

  @ParameterizedTest
  @FieldSource("SETS")
  void objects_areValidForThreeVersionsOfKubernetes(String set) throws Exception {
    Path python = Python.with("python-kubernetes", "kubernetes-validate==1.37.0");
    Path rendered = Files.writeString(folder.resolve("all.yaml"), Chart.template(set).output());
    for (String version : KUBERNETES) {
      String said =
          Chart.run(
                  Map.of(),
                  List.of(
                      python.resolveSibling("kubernetes-validate").toString(),
                      "--strict",
                      "-k",
                      version,
                      rendered.toString()))
              .successfully();
      // Kinds that are not Kubernetes' own are tried against a real API server instead.
      assertThat(said.lines().filter(l -> l.contains("Couldn't find schema")))
          .allMatch(l -> l.matches(".*kind (Certificate|ServiceMonitor|PrometheusRule) with.*"));
    }
  }

  @ParameterizedTest
  @FieldSource("SETS")
  void everyPod_isRestrictedAndGetsNoSecretByItsEnvironment(String set) {
    Rendered chart = Chart.render(set);
    assertThat(chart.podSpecs()).hasSizeGreaterThanOrEqualTo(2);
    for (JsonNode pod : chart.podSpecs()) {
      assertThat(pod.at("/securityContext/runAsNonRoot").asBoolean()).isTrue();
      assertThat(pod.at("/securityContext/seccompProfile/type").asString())
          .isEqualTo("RuntimeDefault");
      assertThat(pod.at("/automountServiceAccountToken").asBoolean(true)).isFalse();
      for (JsonNode container : pod.at("/containers")) {
        JsonNode security = container.at("/securityContext");
        assertThat(security.at("/readOnlyRootFilesystem").asBoolean()).isTrue();
        assertThat(security.at("/allowPrivilegeEscalation").asBoolean(true)).isFalse();
        assertThat(texts(security.at("/capabilities/drop"))).containsExactly("ALL");
        assertThat(container.has("envFrom")).isFalse();
        assertThat(each(container.at("/env"))).noneMatch(e -> e.has("valueFrom"));
        assertThat(each(container.at("/env")).map(e -> e.at("/name").asString()))
            .isSubsetOf(
                "VALETKEY_ROLES",
                "SPRING_CONFIG_ADDITIONAL_LOCATION",
                "SPRING_CONFIG_IMPORT",
                "SPRING_DATASOURCE_URL",
                "ISSUER",
                "GATEWAY",
                "BLOCKED");
      }
    }
    for (JsonNode pod : chart.all("Deployment")) {
      // VALETKEY_…_SERVICE_HOST of a Service would be an unknown setting.
      assertThat(pod.at("/spec/template/spec/enableServiceLinks").asBoolean(true)).isFalse();
    }
  }

  @ParameterizedTest
  @FieldSource("SETS")
  void managementPort_isProbedAndOnNoServiceWithAnAddress(String set) {
    Rendered chart = Chart.render(set);
    for (JsonNode deployment : chart.all("Deployment")) {
      JsonNode container = deployment.at("/spec/template/spec/containers/0");
      for (String probe : List.of("startupProbe", "livenessProbe", "readinessProbe")) {
        assertThat(container.at("/" + probe + "/httpGet/port").asString()).isEqualTo("management");
      }
      assertThat(container.at("/startupProbe/httpGet/path").asString()).endsWith("/startup");
      assertThat(container.at("/livenessProbe/httpGet/path").asString()).endsWith("/liveness");
      assertThat(container.at("/readinessProbe/httpGet/path").asString()).endsWith("/readiness");
    }
    for (JsonNode service : chart.all("Service")) {
      boolean addressed = !service.at("/spec/clusterIP").asString("").equals("None");
      assertThat(each(service.at("/spec/ports")))
          .noneMatch(p ->
              addressed
                  && (p.at("/targetPort").asString().equals("management")
                      || p.at("/port").asInt() == 9090));
    }
  }

  @Test
  void disruptionBudget_isThereOnlyAboveOneReplica() {
    assertThat(Chart.render("minimum").all("PodDisruptionBudget")).hasSize(2);
    assertThat(Chart.render("tls-in-front").all("PodDisruptionBudget")).isEmpty();
    // Autoscaling decides, and not replicas.
    assertThat(Chart.render("everything", "--set", "issuer.replicas=1").all("PodDisruptionBudget"))
        .hasSize(2);
  }

  @Test
  void gracePeriod_hasRoomForDelayAndDrain() {
    assertThat(settings(Chart.render("minimum"), "gateway"))
        .containsEntry("valetkey.shutdown.delay", "5s");
    for (int delay : List.of(0, 300)) {
      for (int drain : List.of(0, 25, 900)) {
        Rendered chart =
            Chart.render(
                "minimum",
                "--set",
                "shutdownDelaySeconds=" + delay + ",gateway.drainSeconds=" + drain);
        for (String role : List.of("issuer", "gateway")) {
          JsonNode pod = chart.one("Deployment", "v-valetkey-" + role).at("/spec/template/spec");
          Map<String, String> settings = settings(chart, role);
          int phase =
              Integer.parseInt(
                  settings.get("spring.lifecycle.timeout-per-shutdown-phase").replace("s", ""));
          assertThat(settings)
              .containsEntry("valetkey.shutdown.delay", delay + "s")
              .containsEntry("valetkey.gateway.drain", drain + "s");
          assertThat(phase).isGreaterThan(drain);
          assertThat(pod.at("/terminationGracePeriodSeconds").asInt())
              .isGreaterThanOrEqualTo(delay + phase + 10);
          // The process itself waits.
          assertThat(pod.at("/containers/0").has("lifecycle")).isFalse();
        }
      }
    }
  }

  static Map<String, String> settings(Rendered chart, String role) {
    return new Yaml()
        .load(chart.one("ConfigMap", "v-valetkey-" + role).at("/data/application.yaml").asString());
  }

  @Test
  void secrets_areFilesNamedLikeTheirSettings() {
    JsonNode sources =
        Chart.render("everything")
            .one("Deployment", "v-valetkey-issuer")
            .at("/spec/template/spec/volumes")
            .valueStream()
            .filter(v -> v.at("/name").asString().equals("secrets"))
            .findFirst()
            .orElseThrow()
            .at("/projected/sources");
    assertThat(
            each(sources)
                .flatMap(s -> each(s.at("/secret/items")))
                .map(i -> i.at("/path").asString()))
        .containsExactly(
            "spring.datasource.username",
            "spring.datasource.password",
            "valetkey.admin.bootstrap-token",
            "spring.datasource.hikari.data-source-properties.sslpassword",
            "spring.ssl.bundle.pem.own.keystore.private-key-password");
  }

  @Test
  void alertsAndDashboard_areWhatTheFilesSay() throws Exception {
    Rendered chart = Chart.render("everything");
    Path files = Chart.FOLDER.resolve("files");
    JsonNode rules =
        Rendered.parse(Files.readString(files.resolve("prometheus-rules.yaml"))).objects().get(0);
    assertThat(rules.at("/groups").size()).isPositive();
    assertThat(chart.one("PrometheusRule", "v-valetkey").at("/spec")).isEqualTo(rules);
    assertThat(
            chart
                .one("ConfigMap", "v-valetkey-dashboard")
                .at("/data/valetkey.json")
                .asString()
                .strip())
        .isEqualTo(Files.readString(files.resolve("grafana-dashboard.json")).strip());
  }

  @Test
  void serviceMonitor_findsTheManagementServicesAndNoOther() {
    Rendered chart = Chart.render("everything");
    JsonNode selector = chart.one("ServiceMonitor", "v-valetkey").at("/spec/selector/matchLabels");
    assertThat(
            chart.all("Service").stream()
                .filter(s ->
                    selector
                        .propertyStream()
                        .allMatch(
                            l -> l.getValue().equals(s.at("/metadata/labels").get(l.getKey()))))
                .map(s -> s.at("/metadata/name").asString()))
        .containsExactly("v-valetkey-issuer-management", "v-valetkey-gateway-management");
  }

  @Test
  void policies_areMountedIntoTheIssuerOnly() {
    Rendered chart = Chart.render("everything");
    JsonNode documents = chart.one("ConfigMap", "v-valetkey-policies").at("/data");
    assertThat(documents.propertyNames()).containsExactly("set.yaml", "000-agent-claims-bot.yaml");
    assertThat(settings(chart, "issuer"))
        .containsEntry("valetkey.policy.directory", "/run/valetkey/policies")
        .containsEntry("valetkey.policy.owner", "helm");
    assertThat(settings(chart, "gateway")).doesNotContainKey("valetkey.policy.directory");
    assertThat(chart.one("Deployment", "v-valetkey-gateway").toString())
        .doesNotContain("/run/valetkey/policies");
  }

  @Test
  void policies_areNumberedByTheRevisionOfTheReleaseUnlessSaidOtherwise() {
    assertThat(set(Chart.render("everything")))
        .isEqualTo(Map.of("managedBy", "helm", "generation", 1));
    assertThat(set(Chart.render("everything", "--set", "policyGeneration=2000000000")))
        .containsEntry("generation", 2_000_000_000);
  }

  private static Map<String, Object> set(Rendered chart) {
    return new Yaml()
        .load(chart.one("ConfigMap", "v-valetkey-policies").at("/data/set.yaml").asString());
  }
}
