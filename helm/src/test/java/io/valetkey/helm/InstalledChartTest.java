package io.valetkey.helm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.realparts.NeedsHelm;
import io.valetkey.realparts.NeedsKubernetes;
import io.valetkey.realparts.RealKubernetes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The chart, installed with the real helm into a real API server. No node runs, so that nothing
 * here shows that pods start; hooks are left out, because Helm would wait for their pods.
 */
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

  private static RealKubernetes kubernetes;
  private static Map<String, String> cluster;

  @BeforeAll
  static void install() {
    kubernetes = RealKubernetes.start();
    cluster = Map.of("KUBECONFIG", kubernetes.writeKubeconfig(folder).toString());
    for (String namespace : List.of("valetkey", "second", "agents", "more-agents", "elsewhere")) {
      kubernetes.createNamespace(namespace);
      // Made by a controller that does not run here.
      kubernetes.createServiceAccount(namespace, "default");
    }
    kubectl(
            "label",
            "namespace",
            "valetkey",
            "second",
            "pod-security.kubernetes.io/enforce=restricted")
        .successfully();
    kubectl("apply", "-f", Chart.RESOURCES.resolve("definitions").toString()).successfully();
    kubectl("wait", "--for=condition=Established", "crd", "--all").successfully();
    agent("before", List.of(KEY));
    helm("install", "v", "-n", "valetkey", "everything").successfully();
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> create("agents", STORY).output().contains("hold no keys"));
  }

  @AfterAll
  static void stop() {
    kubernetes.close();
  }

  private static Chart.Ran kubectl(String... arguments) {
    return Chart.kubectl(cluster, arguments);
  }

  private static Chart.Ran helm(
      String command, String release, String flag, String namespace, String set) {
    return Chart.helm(
        cluster,
        command,
        release,
        Chart.FOLDER.toString(),
        flag,
        namespace,
        "--no-hooks",
        "-f",
        Chart.values(set));
  }

  /** The agent of the README: {@code docker run -e OPENAI_API_KEY=… -e DB_PASSWORD=…}. */
  private static final String STORY =
      """
      containers: [{ name: agent, image: agent, env: [
        { name: OPENAI_API_KEY, value: anything }, { name: DB_PASSWORD, value: anything } ] }]
      """;

  private static final Map<String, String> KEY = Map.of("name", "API_KEY", "value", "anything");

  /** An agent that stays when it is deleted, until its finalizer is taken off. */
  private static void agent(String name, List<Map<String, String>> env) {
    kubernetes.send(
        "POST",
        "/api/v1/namespaces/agents/pods",
        Map.of(
            "metadata",
            Map.of(
                "name",
                name,
                "labels",
                Map.of("valetkey.io/agent", "true"),
                "finalizers",
                List.of("example.com/later")),
            "spec",
            Map.of("containers", List.of(Map.of("name", "agent", "image", "agent", "env", env)))));
  }

  private static Chart.Ran letGo(String pod) {
    return kubectl(
        "patch",
        "-n",
        "agents",
        "pod/" + pod,
        "--type=merge",
        "-p",
        "{\"metadata\":{\"finalizers\":null}}");
  }

  private static Chart.Ran debug(String name) {
    ObjectNode pod =
        (ObjectNode) kubernetes.send("GET", "/api/v1/namespaces/agents/pods/" + name, null);
    ((ObjectNode) pod.at("/spec"))
        .set(
            "ephemeralContainers",
            JsonMapper.shared()
                .readTree(
                    """
                    [{"name": "debug", "image": "debug", "env": [{"name": "API_KEY", "value": "anything"}]}]
                    """));
    return kubectl(
        "replace",
        "--raw",
        "/api/v1/namespaces/agents/pods/" + name + "/ephemeralcontainers",
        "-f",
        file(name + ".json", pod.toString()).toString());
  }

  /** Asks the API server to make a pod that is an agent, without keeping it. */
  private static Chart.Ran create(String namespace, String spec) {
    return create(namespace, "labels: { valetkey.io/agent: \"true\" }", spec);
  }

  private static Chart.Ran create(String namespace, String labels, String spec) {
    String pod =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: agent\n  "
            + labels
            + "\nspec:\n"
            + spec.indent(2);
    return kubectl(
        "create", "-n", namespace, "--dry-run=server", "-f", file("pod.yaml", pod).toString());
  }

  private static Path file(String name, String text) {
    try {
      return Files.writeString(folder.resolve(name), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Stream<Arguments> secrets() {
    return Stream.of(
        Arguments.of("agent", "OPENAI_API_KEY, DB_PASSWORD", STORY),
        Arguments.of(
            "agent",
            "openaiApiKey, AWS_ACCESS_KEY_ID, OPENAI_API_KEY_2",
            """
            containers: [{ name: agent, image: agent, env: [
              { name: openaiApiKey, value: anything }, { name: AWS_ACCESS_KEY_ID, value: anything },
              { name: OPENAI_API_KEY_2, value: anything } ] }]
            """),
        Arguments.of(
            "agent",
            "HARMLESS",
            """
            containers: [{ name: agent, image: agent, env: [{ name: HARMLESS,
              valueFrom: { secretKeyRef: { name: keys, key: openai } } }] }]
            """),
        Arguments.of(
            "agent",
            "Secret as its environment (envFrom)",
            """
            containers: [{ name: agent, image: agent, envFrom: [{ secretRef: { name: keys } }] }]
            """),
        Arguments.of(
            "agent",
            "GITHUB_TOKEN",
            """
            containers: [{ name: agent, image: agent, env: [{ name: GITHUB_TOKEN,
              valueFrom: { configMapKeyRef: { name: keys, key: github } } }] }]
            """),
        Arguments.of(
            "agent",
            "HARMLESS",
            """
            containers: [{ name: agent, image: agent, env: [
              { name: HARMLESS, value: "sk-proj-abcdefghijklmnop0123" }] }]
            """),
        Arguments.of(
            "agent",
            "DATABASE_URL",
            """
            containers: [{ name: agent, image: agent, env: [
              { name: DATABASE_URL, value: "postgres://app:hunter2@db/app" }] }]
            """),
        Arguments.of(
            "setup",
            "aws_secret_access_key",
            """
            initContainers: [{ name: setup, image: agent, env: [
              { name: aws_secret_access_key, value: anything }] }]
            containers: [{ name: agent, image: agent }]
            """),
        Arguments.of(
            "sidecar",
            "Secret as its environment (envFrom)",
            """
            initContainers: [{ name: sidecar, image: agent, restartPolicy: Always,
              envFrom: [{ configMapRef: { name: fine } }, { secretRef: { name: keys } }] }]
            containers: [{ name: agent, image: agent }]
            """),
        Arguments.of(
            "agent",
            "secret in its command",
            """
            containers: [{ name: agent, image: agent,
              args: ["--key", "sk-proj-abcdefghijklmnop0123"] }]
            """));
  }

  @ParameterizedTest
  @MethodSource("secrets")
  void admission_ofAnAgentWithASecret_refusesAndSaysWhatToDoInstead(
      String container, String found, String spec) {
    assertThat(create("agents", spec).unsuccessfully())
        .contains("container " + container, found)
        .contains("Agents hold no keys: give the pod a ServiceAccount token for https://")
        .contains("/d/<destination>", "install-on-kubernetes.md")
        .doesNotContain("anything", "hunter2", "sk-proj");
    assertThat(create("more-agents", spec).unsuccessfully()).contains("Agents hold no keys");
  }

  @Test
  void admission_ofAnAgentAsTheHowToHasIt_accepts() {
    create(
            "agents",
            """
            containers:
              - name: agent
                image: agent
                env:
                  - { name: VALETKEY_URL, value: "https://valetkey.example.com" }
                  - { name: VALETKEY_GATEWAY_URL, value: "https://gateway.example.com" }
                  - { name: VALETKEY_TOKEN_FILE, value: /var/run/secrets/valetkey/token }
                  - { name: MAX_TOKENS, value: "4096" }
                  - { name: FEATURE_KEY, value: allowed-by-name }
                  - { name: OPENAI_API_KEY, value: "" }
                  - { name: POD_KEY, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
                volumeMounts: [{ name: valetkey, mountPath: /var/run/secrets/valetkey }]
            volumes:
              - name: valetkey
                projected: { sources: [{ serviceAccountToken: {
                  audience: "https://valetkey.example.com", expirationSeconds: 3600, path: token } }] }
            """)
        .successfully();
  }

  @Test
  void admission_ofThePodOfHelmTest_accepts() {
    JsonNode pod = Chart.render("everything").one("Pod", "v-valetkey-test-reach");
    assertThat(pod.at("/metadata/namespace").asString()).isEqualTo("agents");
    assertThat(pod.at("/metadata/labels/valetkey.io~1agent").asString()).isEqualTo("true");
    kubectl("create", "--dry-run=server", "-f", file("test.json", pod.toString()).toString())
        .successfully();
  }

  @Test
  void admission_ofPodsThatAreNoAgents_isNotAsked() {
    create("elsewhere", STORY).successfully();
    create("agents", "labels: { app: web }", STORY).successfully();
  }

  @Test
  void agent_neitherLosesItsLabelNorGetsASecretLater() {
    kubernetes.send(
        "POST",
        "/api/v1/namespaces/agents/pods",
        Map.of(
            "metadata",
            Map.of("name", "later", "labels", Map.of("valetkey.io/agent", "true")),
            "spec",
            Map.of("containers", List.of(Map.of("name", "agent", "image", "agent")))));
    assertThat(kubectl("label", "-n", "agents", "pod/later", "valetkey.io/agent-").unsuccessfully())
        .contains("The label valetkey.io/agent makes this pod an agent");
    kubectl("label", "-n", "agents", "pod/later", "other=label").successfully();

    assertThat(debug("later").unsuccessfully())
        .contains("container debug has a secret in its environment: API_KEY");
    kubernetes.deletePod("agents", "later");
  }

  @Test
  void agent_thatIsEnding_isStillAnAgent() {
    agent("ending", List.of());
    kubectl("delete", "-n", "agents", "pod/ending", "--wait=false").successfully();
    assertThat(
            kubectl("label", "-n", "agents", "pod/ending", "valetkey.io/agent-").unsuccessfully())
        .contains("The label valetkey.io/agent makes this pod an agent");
    assertThat(debug("ending").unsuccessfully())
        .contains("container debug has a secret in its environment: API_KEY");
    letGo("ending").successfully();
    kubectl("wait", "-n", "agents", "--for=delete", "pod/ending", "--timeout=10s").successfully();
  }

  @Test
  void agent_fromBeforeThePolicy_isAnnotatedAndEnds() {
    kubectl("annotate", "-n", "agents", "pod/before", "seen=yes").successfully();
    assertThat(kubectl("label", "-n", "agents", "pod/before", "other=label").unsuccessfully())
        .contains("API_KEY");
    kubectl("delete", "-n", "agents", "pod/before", "--wait=false").successfully();
    letGo("before").successfully();
    kubectl("wait", "-n", "agents", "--for=delete", "pod/before", "--timeout=10s").successfully();
  }

  @Test
  void admission_ofAnAgentWithTheNetworkOfItsNode_refuses() {
    String spec = "containers: [{ name: agent, image: agent }]\nhostNetwork: ";
    assertThat(create("agents", spec + "true").unsuccessfully())
        .contains("hostNetwork gives the pod the network of its node");
    create("agents", spec + "false").successfully();
    create("agents", "labels: { app: web }", spec + "true").successfully();
  }

  @Test
  void agent_thatIsLabelledLater_isRefusedWithItsSecret() {
    kubernetes.send(
        "POST",
        "/api/v1/namespaces/agents/pods",
        Map.of(
            "metadata",
            Map.of("name", "unlabelled"),
            "spec",
            Map.of(
                "containers",
                List.of(
                    Map.of(
                        "name",
                        "agent",
                        "image",
                        "agent",
                        "env",
                        List.of(Map.of("name", "API_KEY", "value", "anything")))))));
    assertThat(
            kubectl("label", "-n", "agents", "pod/unlabelled", "valetkey.io/agent=true")
                .unsuccessfully())
        .contains("API_KEY");
    kubernetes.deletePod("agents", "unlabelled");
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
      create("valetkey", "labels: { app: try }", spec.toString()).successfully();
    }
    assertThat(
            create("valetkey", "labels: { app: try }", "containers: [{ name: a, image: a }]")
                .unsuccessfully())
        .contains("violates PodSecurity");
  }

  @Test
  void job_isAccepted() {
    JsonNode job = Chart.render("everything").one("Job", "v-valetkey-migrate");
    kubectl("create", "--dry-run=server", "-f", file("job.json", job.toString()).toString())
        .successfully();
  }

  @Test
  void release_isInstalledUpgradedAndUninstalledWithoutARest() {
    helm("install", "w", "-n", "second", "minimum").successfully();
    assertThat(objects("w")).contains("deployment.apps/w-valetkey-issuer");
    assertThat(objects("w")).doesNotContain("ingress", "validatingadmissionpolicy");

    assertThat(helm("upgrade", "w", "-n", "second", "everything").successfully())
        .contains("helm test w -n second");
    assertThat(kubectl("get", "-n", "second", "cm/w-valetkey-policies", "-o", "json").output())
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

    helm("upgrade", "w", "-n", "second", "tls-in-front").successfully();
    assertThat(objects("w")).doesNotContain("ingress", "certificate", "clusterrolebinding");

    Chart.helm(cluster, "uninstall", "w", "-n", "second", "--no-hooks").successfully();
    assertThat(objects("w")).isBlank();
  }

  private static String objects(String release) {
    String label = "app.kubernetes.io/instance=" + release;
    String namespaced =
        kubectl("get", NAMESPACED, "-A", "-l", label, "-o", "name", "--ignore-not-found")
            .successfully();
    return namespaced
        + kubectl("get", CLUSTER_WIDE, "-l", label, "-o", "name", "--ignore-not-found")
            .successfully();
  }
}
