package io.valetkey.helm;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsHelm;
import io.valetkey.realparts.NeedsKubernetes;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The chart's objects, as a real API server takes them. */
@NeedsHelm
@NeedsKubernetes
class InstalledChartTest {

  private static final String NAMESPACED =
      "deployments,services,serviceaccounts,configmaps,poddisruptionbudgets,"
          + "horizontalpodautoscalers,ingresses,networkpolicies,certificates,servicemonitors,"
          + "prometheusrules";
  private static final String CLUSTER_WIDE =
      "clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";

  @TempDir static Path folder;

  private static ChartCluster cluster;

  @BeforeAll
  static void install() {
    cluster = new ChartCluster(folder);
  }

  @AfterAll
  static void stop() {
    cluster.close();
  }

  @Test
  void everyPodOfTheChart_isAcceptedWherePodSecurityIsRestricted() {
    List<JsonNode> pods = Chart.render("everything").podSpecs();
    // The third of them is the migration's.
    assertThat(pods).hasSize(4);
    for (JsonNode pod : pods) {
      ObjectNode spec = ((ObjectNode) pod).put("restartPolicy", "Never");
      if (spec.has("serviceAccountName")) {
        spec.put("serviceAccountName", "v-valetkey-issuer");
      }
      cluster.create("valetkey", "labels: { app: try }", spec.toString()).successfully();
    }
    assertThat(
            cluster
                .create("valetkey", "labels: { app: try }", "containers: [{ name: a, image: a }]")
                .unsuccessfully())
        .contains("violates PodSecurity");
  }

  @Test
  void job_isAccepted() {
    JsonNode job = Chart.render("everything").one("Job", "v-valetkey-migrate");
    cluster
        .kubectl(
            "create", "--dry-run=server", "-f", cluster.file("job.json", job.toString()).toString())
        .successfully();
  }

  @Test
  void release_isInstalledUpgradedAndUninstalledWithoutARest() {
    cluster.helm("install", "w", "second", "minimum").successfully();
    assertThat(objects("w")).contains("deployment.apps/w-valetkey-issuer");
    assertThat(objects("w")).doesNotContain("ingress", "validatingadmissionpolicy");

    assertThat(cluster.helm("upgrade", "w", "second", "everything").successfully())
        .contains("helm test w -n second");
    assertThat(
            cluster.kubectl("get", "-n", "second", "cm/w-valetkey-policies", "-o", "json").output())
        .contains("generation: 2");
    assertThat(objects("w"))
        .contains(
            "ingress.networking.k8s.io/w-valetkey-issuer",
            "horizontalpodautoscaler.autoscaling/w-valetkey-gateway",
            "certificate.cert-manager.io/w-valetkey-gateway",
            "servicemonitor.monitoring.coreos.com/w-valetkey",
            "prometheusrule.monitoring.coreos.com/w-valetkey",
            "networkpolicy.networking.k8s.io/w-valetkey-agents",
            "clusterrolebinding.rbac.authorization.k8s.io/w-valetkey-second-token-review",
            "w-valetkey-second-agents-hold-no-keys");

    cluster.helm("upgrade", "w", "second", "tls-in-front").successfully();
    assertThat(objects("w")).doesNotContain("ingress", "certificate", "clusterrolebinding");

    cluster.uninstall("w", "second").successfully();
    assertThat(objects("w")).isBlank();
  }

  private static String objects(String release) {
    String label = "app.kubernetes.io/instance=" + release;
    String namespaced =
        cluster
            .kubectl("get", NAMESPACED, "-A", "-l", label, "-o", "name", "--ignore-not-found")
            .successfully();
    return namespaced
        + cluster
            .kubectl("get", CLUSTER_WIDE, "-l", label, "-o", "name", "--ignore-not-found")
            .successfully();
  }
}
