package io.valetkey.helm;

import static io.valetkey.helm.ChartCluster.STORY;
import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsHelm;
import io.valetkey.realparts.NeedsKubernetes;
import java.nio.file.Path;
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

/** What the installed chart lets become an agent, and what an agent may become. */
@NeedsHelm
@NeedsKubernetes
class AgentAdmissionTest {

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

  private static Chart.Ran letGo(String pod) {
    return cluster.kubectl(
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
        (ObjectNode) cluster.send("GET", "/api/v1/namespaces/agents/pods/" + name, null);
    ((ObjectNode) pod.at("/spec"))
        .set(
            "ephemeralContainers",
            JsonMapper.shared()
                .readTree(
                    """
                    [{"name": "debug", "image": "debug", "env": [{"name": "API_KEY", "value": "anything"}]}]
                    """));
    return cluster.kubectl(
        "replace",
        "--raw",
        "/api/v1/namespaces/agents/pods/" + name + "/ephemeralcontainers",
        "-f",
        cluster.file(name + ".json", pod.toString()).toString());
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
    assertThat(cluster.create("agents", spec).unsuccessfully())
        .contains("container " + container, found)
        .contains("Agents hold no keys: give the pod a ServiceAccount token for https://")
        .contains("/d/<destination>", "install-on-kubernetes.md")
        .doesNotContain("anything", "hunter2", "sk-proj");
    assertThat(cluster.create("more-agents", spec).unsuccessfully())
        .contains("Agents hold no keys");
  }

  @Test
  void admission_ofAnAgentAsTheHowToHasIt_accepts() {
    cluster
        .create(
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
    cluster
        .kubectl(
            "create",
            "--dry-run=server",
            "-f",
            cluster.file("test.json", pod.toString()).toString())
        .successfully();
  }

  @Test
  void admission_ofPodsThatAreNoAgents_isNotAsked() {
    cluster.create("elsewhere", STORY).successfully();
    cluster.create("agents", "labels: { app: web }", STORY).successfully();
  }

  @Test
  void agent_neitherLosesItsLabelNorGetsASecretLater() {
    cluster.send(
        "POST",
        "/api/v1/namespaces/agents/pods",
        Map.of(
            "metadata",
            Map.of("name", "later", "labels", Map.of("valetkey.io/agent", "true")),
            "spec",
            Map.of("containers", List.of(Map.of("name", "agent", "image", "agent")))));
    assertThat(
            cluster
                .kubectl("label", "-n", "agents", "pod/later", "valetkey.io/agent-")
                .unsuccessfully())
        .contains("The label valetkey.io/agent makes this pod an agent");
    cluster.kubectl("label", "-n", "agents", "pod/later", "other=label").successfully();

    assertThat(debug("later").unsuccessfully())
        .contains("container debug has a secret in its environment: API_KEY");
    cluster.deletePod("agents", "later");
  }

  @Test
  void agent_thatIsEnding_isStillAnAgent() {
    cluster.agent("ending", List.of());
    cluster.kubectl("delete", "-n", "agents", "pod/ending", "--wait=false").successfully();
    assertThat(
            cluster
                .kubectl("label", "-n", "agents", "pod/ending", "valetkey.io/agent-")
                .unsuccessfully())
        .contains("The label valetkey.io/agent makes this pod an agent");
    assertThat(debug("ending").unsuccessfully())
        .contains("container debug has a secret in its environment: API_KEY");
    letGo("ending").successfully();
    cluster
        .kubectl("wait", "-n", "agents", "--for=delete", "pod/ending", "--timeout=10s")
        .successfully();
  }

  @Test
  void agent_fromBeforeThePolicy_isAnnotatedAndEnds() {
    cluster.kubectl("annotate", "-n", "agents", "pod/before", "seen=yes").successfully();
    assertThat(
            cluster.kubectl("label", "-n", "agents", "pod/before", "other=label").unsuccessfully())
        .contains("API_KEY");
    cluster.kubectl("delete", "-n", "agents", "pod/before", "--wait=false").successfully();
    letGo("before").successfully();
    cluster
        .kubectl("wait", "-n", "agents", "--for=delete", "pod/before", "--timeout=10s")
        .successfully();
  }

  @Test
  void admission_ofAnAgentWithTheNetworkOfItsNode_refuses() {
    String spec = "containers: [{ name: agent, image: agent }]\nhostNetwork: ";
    assertThat(cluster.create("agents", spec + "true").unsuccessfully())
        .contains("hostNetwork gives the pod the network of its node");
    cluster.create("agents", spec + "false").successfully();
    cluster.create("agents", "labels: { app: web }", spec + "true").successfully();
  }

  @Test
  void agent_thatIsLabelledLater_isRefusedWithItsSecret() {
    cluster.send(
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
            cluster
                .kubectl("label", "-n", "agents", "pod/unlabelled", "valetkey.io/agent=true")
                .unsuccessfully())
        .contains("API_KEY");
    cluster.deletePod("agents", "unlabelled");
  }
}
