package io.valetkey.quickstart;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the platform engineer has in hand: the broker's admin API and a token for it. */
final class AdminApi implements AutoCloseable {

  private static final JsonMapper JSON = new JsonMapper();

  /**
   * An answer.
   *
   * @param body a missing node if there was none
   * @param etag the version of the resource; empty if it has none
   */
  record Answer(int status, JsonNode body, String etag) {}

  private final HttpClient http =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
  private final String base;
  private final String token;

  AdminApi(String brokerUrl, String token) {
    this.base = brokerUrl + "/admin/v1";
    this.token = token;
  }

  /** Creates a resource that is not there yet. */
  void create(String path, Object resource) {
    send("PUT", path, resource, null, Set.of(201));
  }

  /** Replaces a resource in the version that was read. */
  void replace(String path, Object resource, String etag) {
    send("PUT", path, resource, etag, Set.of(200));
  }

  /** Adds to a collection. */
  JsonNode post(String path, Object body) {
    return send("POST", path, body, null, Set.of(201)).body();
  }

  /** Deletes, saying why. */
  void delete(String path, Object body) {
    send("DELETE", path, body, null, Set.of(200, 204));
  }

  /** Reads a resource. */
  Answer get(String path) {
    return send("GET", path, null, null, Set.of(200));
  }

  /** Reads a record that may take a moment to appear. */
  JsonNode awaitRecord(String path) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofSeconds(5).toNanos();
    while (true) {
      Answer answer = send("GET", path, null, null, Set.of(200, 404));
      if (answer.status() == 200) {
        return answer.body();
      }
      if (System.nanoTime() > end) {
        throw new IllegalStateException("GET " + path + ": no such record after 5 s");
      }
      Thread.sleep(50);
    }
  }

  private Answer send(
      String method,
      String path,
      @Nullable Object body,
      @Nullable String etag,
      Set<Integer> expected) {
    BodyPublisher publisher =
        body == null
            ? BodyPublishers.noBody()
            : BodyPublishers.ofString(JSON.writeValueAsString(body));
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(base + path))
            .timeout(Duration.ofSeconds(10))
            .header("Authorization", "Bearer " + token)
            .method(method, publisher);
    if (body != null) {
      request.header("Content-Type", "application/json");
    }
    if (etag != null) {
      request.header("If-Match", etag);
    }
    try {
      HttpResponse<String> answer = http.send(request.build(), BodyHandlers.ofString());
      if (!expected.contains(answer.statusCode())) {
        throw new IllegalStateException(
            method + " " + path + ": " + answer.statusCode() + " " + answer.body());
      }
      return new Answer(
          answer.statusCode(),
          answer.body().isBlank() ? JSON.missingNode() : JSON.readTree(answer.body()),
          answer.headers().firstValue("ETag").orElse(""));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  @Override
  public void close() {
    http.shutdownNow();
  }
}
