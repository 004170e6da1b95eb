package io.valetkey.realparts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@NeedsKubernetes
class RealKubernetesTest {

  private static RealKubernetes kubernetes;

  @TempDir Path folder;

  @BeforeAll
  static void start() {
    kubernetes = RealKubernetes.start();
    kubernetes.createNamespace("team-a");
  }

  @AfterAll
  static void stop() {
    kubernetes.close();
  }

  @Test
  void createToken_isSignedWithAPublishedKeyAndPassesReview_untilTheAccountIsGone()
      throws Exception {
    kubernetes.createServiceAccount("team-a", "claims-bot");
    String token =
        kubernetes.createToken(
            "team-a", "claims-bot", "https://broker.test", Duration.ofMinutes(10));

    assertThat(kubernetes.jwks()).contains("\"kid\"");
    JsonNode reviewed = review(token).at("/status");
    assertThat(reviewed.at("/authenticated").asBoolean()).isTrue();
    assertThat(reviewed.at("/user/username").asString())
        .isEqualTo("system:serviceaccount:team-a:claims-bot");

    kubernetes.deleteServiceAccount("team-a", "claims-bot");
    awaitRefused(token);
  }

  @Test
  void createPodToken_isRefusedWhenThePodIsGone() throws Exception {
    kubernetes.createServiceAccount("team-a", "worker");
    String uid = kubernetes.createPod("team-a", "worker-1", "worker");
    String token =
        kubernetes.createPodToken(
            "team-a", "worker", "https://broker.test", Duration.ofMinutes(10), "worker-1", uid);
    assertThat(review(token).at("/status/authenticated").asBoolean()).isTrue();

    kubernetes.deletePod("team-a", "worker-1");
    awaitRefused(token);
  }

  private void awaitRefused(String token) {
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> !review(token).at("/status/authenticated").asBoolean());
  }

  /** Over the wire with the reviewer's own token, as a broker asks. */
  private JsonNode review(String token) throws Exception {
    JsonMapper json = new JsonMapper();
    Files.writeString(folder.resolve("ca.pem"), kubernetes.caPem());
    URI uri = kubernetes.uri().resolve("/apis/authentication.k8s.io/v1/tokenreviews");
    Object body =
        Map.of("spec", Map.of("token", token, "audiences", List.of("https://broker.test")));
    try (HttpClient client =
        HttpClient.newBuilder()
            .sslContext(TestAuthority.trusting(folder.resolve("ca.pem")))
            .build()) {
      String answer =
          client
              .send(
                  HttpRequest.newBuilder(uri)
                      .header("Authorization", "Bearer " + kubernetes.reviewerToken())
                      .header("Content-Type", "application/json")
                      .POST(HttpRequest.BodyPublishers.ofString(json.writeValueAsString(body)))
                      .build(),
                  HttpResponse.BodyHandlers.ofString())
              .body();
      return json.readTree(answer);
    }
  }
}
