package io.valetkey.helm;

import static org.awaitility.Awaitility.await;

import io.valetkey.realparts.RealKubernetes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * A real API server with the chart installed in it by the real helm, as release v of everything. No
 * node runs, so that nothing here shows that pods start; hooks are left out, because Helm would
 * wait for their pods.
 */
final class ChartCluster implements AutoCloseable {

  /** The agent of the README: {@code docker run -e OPENAI_API_KEY=… -e DB_PASSWORD=…}. */
  static final String STORY =
      """
      containers: [{ name: agent, image: agent, env: [
        { name: OPENAI_API_KEY, value: anything }, { name: DB_PASSWORD, value: anything } ] }]
      """;

  private static final Map<String, String> KEY = Map.of("name", "API_KEY", "value", "anything");

  private final RealKubernetes kubernetes = RealKubernetes.start();
  private final Path folder;
  private final Map<String, String> environment;

  /**
   * Installs it. In the namespace agents is the agent "before", which has a secret from the time
   * before there was a policy.
   *
   * @param folder for files of its own
   */
  ChartCluster(Path folder) {
    this.folder = folder;
    this.environment = Map.of("KUBECONFIG", kubernetes.writeKubeconfig(folder).toString());
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
    helm("install", "v", "valetkey", "everything").successfully();
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> create("agents", STORY).output().contains("hold no keys"));
  }

  Chart.Ran kubectl(String... arguments) {
    return Chart.kubectl(environment, arguments);
  }

  /** {@code helm install} or {@code upgrade} of a release, with a value set. */
  Chart.Ran helm(String command, String release, String namespace, String set) {
    return Chart.helm(
        environment,
        command,
        release,
        Chart.FOLDER.toString(),
        "-n",
        namespace,
        "--no-hooks",
        "-f",
        Chart.values(set));
  }

  Chart.Ran uninstall(String release, String namespace) {
    return Chart.helm(environment, "uninstall", release, "-n", namespace, "--no-hooks");
  }

  /** Asks the API server itself. */
  JsonNode send(String method, String path, @Nullable Object body) {
    return kubernetes.send(method, path, body);
  }

  void deletePod(String namespace, String name) {
    kubernetes.deletePod(namespace, name);
  }

  /** An agent that stays when it is deleted, until its finalizer is taken off. */
  void agent(String name, List<Map<String, String>> env) {
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

  /** Asks the API server to make a pod that is an agent, without keeping it. */
  Chart.Ran create(String namespace, String spec) {
    return create(namespace, "labels: { valetkey.io/agent: \"true\" }", spec);
  }

  /** The same, with labels of its own. */
  Chart.Ran create(String namespace, String labels, String spec) {
    String pod =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: agent\n  "
            + labels
            + "\nspec:\n"
            + spec.indent(2);
    return kubectl(
        "create", "-n", namespace, "--dry-run=server", "-f", file("pod.yaml", pod).toString());
  }

  /** A file for a program to read. */
  Path file(String name, String text) {
    try {
      return Files.writeString(folder.resolve(name), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    kubernetes.close();
  }
}
