package io.valetkey.realparts;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The JSON API of a server that we started. */
final class JsonApi implements AutoCloseable {

  private static final JsonMapper JSON = new JsonMapper();

  private final URI base;
  private final HttpClient client;
  private final Map<String, String> headers;

  JsonApi(URI base, @Nullable SSLContext tls, Map<String, String> headers) {
    this.base = base;
    this.headers = headers;
    HttpClient.Builder builder = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5));
    this.client = tls == null ? builder.build() : builder.sslContext(tls).build();
  }

  /**
   * Sends a request.
   *
   * @param body turned into JSON; none if null
   * @return the answer; a missing node if it has no body
   * @throws IllegalStateException if the answer is not 2xx
   */
  JsonNode send(String method, String path, @Nullable Object body) {
    HttpResponse<String> answer = exchange(method, path, body);
    if (answer.statusCode() / 100 != 2) {
      throw new IllegalStateException(
          method + " " + path + ": " + answer.statusCode() + " " + answer.body());
    }
    return answer.body().isEmpty() ? JSON.missingNode() : JSON.readTree(answer.body());
  }

  /** Whether a GET is answered with 200. */
  boolean isUp(String path) {
    try {
      return exchange("GET", path, null).statusCode() == 200;
    } catch (UncheckedIOException e) {
      return false;
    }
  }

  @Override
  public void close() {
    client.shutdownNow();
  }

  private HttpResponse<String> exchange(String method, String path, @Nullable Object body) {
    HttpRequest.BodyPublisher publisher =
        body == null
            ? HttpRequest.BodyPublishers.noBody()
            : HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(body));
    HttpRequest.Builder request =
        HttpRequest.newBuilder(base.resolve(path))
            .timeout(Duration.ofSeconds(10))
            .header("Content-Type", "application/json")
            .method(method, publisher);
    headers.forEach(request::header);
    try {
      return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }
}
