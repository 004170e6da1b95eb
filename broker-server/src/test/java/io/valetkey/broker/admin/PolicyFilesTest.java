package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * A folder as Kubernetes mounts a ConfigMap, two replicas, files that are wrong. Invariant: D12.
 */
class PolicyFilesTest {

  @TempDir private Path folder;
  private int versions;

  private static String policy(int generation, String paths) {
    return ApplyApiTest.POLICY
        .formatted("files")
        .replace("managedBy: files\n", "managedBy: files\ngeneration: " + generation + "\n")
        .replace("/v1/chat/completions", paths);
  }

  /** Swaps the whole content by one rename, as a kubelet does. */
  private void mount(Path place, String content) throws Exception {
    Path version = Files.createDirectories(place.resolve("..version" + ++versions));
    Files.writeString(version.resolve("policy.yaml"), content);
    Path link = place.resolve("..data_tmp");
    Files.createSymbolicLink(link, version.getFileName());
    Files.move(link, place.resolve("..data"), StandardCopyOption.ATOMIC_MOVE);
    Path file = place.resolve("policy.yaml");
    if (!Files.isSymbolicLink(file)) {
      Files.createSymbolicLink(file, Path.of("..data", "policy.yaml"));
    }
  }

  private static Map<String, String> settings(Path place) {
    return Map.of("valetkey.policy.directory", place.toString(), "valetkey.policy.poll", "100ms");
  }

  private static JsonNode await(RunningBroker broker, Predicate<JsonNode> wanted) throws Exception {
    JsonNode state = null;
    for (int i = 0; i < 200; i++) {
      state = AdminClient.bootstrap(broker).get("/policy-files").json();
      if (wanted.test(state)) {
        return state;
      }
      Thread.sleep(50);
    }
    throw new AssertionError("it stayed " + state);
  }

  private static boolean isApplied(JsonNode state) {
    return state.get("applied").booleanValue();
  }

  private static String path(RunningBroker broker) {
    return AdminClient.bootstrap(broker)
        .get("/destinations/files-api/scopes/chat")
        .json()
        .at("/allow/0/paths/0")
        .stringValue();
  }

  private static int applies(RunningBroker broker) throws Exception {
    try (Connection connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery("SELECT count(*) FROM audit_record WHERE action = 'admin.apply'")) {
      rows.next();
      return rows.getInt(1);
    }
  }

  private static String metric(RunningBroker broker) throws Exception {
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create(broker.managementUrl() + "/actuator/prometheus"))
                .build(),
            BodyHandlers.ofString())
        .body()
        .lines()
        .filter(line -> line.startsWith("valetkey_policy_files_applied"))
        .findFirst()
        .orElse("");
  }

  @Test
  void folder_isAppliedAtTheStartAndWhenItChanges_andKeptWhenItIsWrong() throws Exception {
    mount(folder, "kind: agent\nname: [");
    try (RunningBroker broker = RunningBroker.start(settings(folder))) {
      JsonNode broken = await(broker, state -> !state.get("problem").isNull());
      assertThat(broken.at("/problem/details/0").stringValue())
          .startsWith("policy.yaml: is not valid YAML at line 2");
      assertThat(metric(broker)).isEqualTo("valetkey_policy_files_applied 0.0");

      mount(folder, policy(1, "/v1/one"));
      await(broker, PolicyFilesTest::isApplied);
      assertThat(path(broker)).isEqualTo("/v1/one");
      assertThat(metric(broker)).isEqualTo("valetkey_policy_files_applied 1.0");

      mount(folder, policy(2, "/v1/*bad"));
      JsonNode refused = await(broker, state -> !isApplied(state));
      assertThat(refused.at("/problem/details/0").stringValue())
          .startsWith("policy.yaml/documents/1/spec/allow/0/paths/0: ");
      assertThat(refused.get("lastApplied").isNull()).isFalse();
      assertThat(path(broker)).isEqualTo("/v1/one");

      mount(folder, policy(2, "/v1/two"));
      await(broker, PolicyFilesTest::isApplied);
      assertThat(path(broker)).isEqualTo("/v1/two");
      assertThat(applies(broker)).isEqualTo(2);
    }
  }

  @Test
  void replicasWithOldAndNewFiles_endWithTheNewOnes() throws Exception {
    Path oldFiles = Files.createDirectory(folder.resolve("old"));
    Path newFiles = Files.createDirectory(folder.resolve("new"));
    mount(oldFiles, policy(1, "/v1/old"));
    mount(newFiles, policy(2, "/v1/new"));
    try (RunningBroker first = RunningBroker.start(settings(oldFiles))) {
      await(first, PolicyFilesTest::isApplied);
      try (RunningBroker second = first.replica(settings(newFiles))) {
        await(second, PolicyFilesTest::isApplied);
        Thread.sleep(500);
        assertThat(path(first)).isEqualTo("/v1/new");
        // An old replica that starts again, as after a crash in the middle of the update.
        try (RunningBroker late = first.replica(settings(oldFiles))) {
          JsonNode state = await(late, s -> !s.get("problem").isNull());
          assertThat(state.at("/problem/code").stringValue()).isEqualTo("precondition_failed");
          assertThat(path(late)).isEqualTo("/v1/new");
        }
        // A roll-back has old content under a new generation.
        mount(newFiles, policy(3, "/v1/old"));
        await(second, state -> isApplied(state) && path(second).equals("/v1/old"));
        assertThat(applies(first)).isEqualTo(3);
      }
    }
  }
}
