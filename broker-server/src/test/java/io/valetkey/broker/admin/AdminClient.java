package io.valetkey.broker.admin;

import io.valetkey.broker.RunningBroker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** An admin with a plain HTTP client. */
final class AdminClient {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private final String base;
  private final @Nullable String token;

  AdminClient(String base, @Nullable String token) {
    this.base = base;
    this.token = token;
  }

  static AdminClient bootstrap(RunningBroker broker) {
    return new AdminClient(broker.url() + "/admin/v1", RunningBroker.BOOTSTRAP_TOKEN);
  }

  /** One answer. */
  record Answer(HttpResponse<String> response) {

    int status() {
      return response.statusCode();
    }

    JsonNode json() {
      return JsonMapper.shared().readTree(response.body());
    }

    String code() {
      return json().path("code").asString("");
    }

    String header(String name) {
      return response.headers().firstValue(name).orElse("");
    }

    String eTag() {
      return header("ETag");
    }
  }

  Answer get(String path) {
    return send("GET", path, null);
  }

  Answer put(String path, String body, String... headers) {
    return send("PUT", path, body, headers);
  }

  Answer delete(String path, String... headers) {
    return send("DELETE", path, null, headers);
  }

  /** Sends a request; a body is JSON unless a header says otherwise. */
  Answer send(String method, String path, @Nullable String body, String... headers) {
    var request = HttpRequest.newBuilder(URI.create(base + path));
    request.method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
    if (body != null) {
      request.setHeader("Content-Type", "application/json");
    }
    if (token != null) {
      request.setHeader("Authorization", "Bearer " + token);
    }
    for (int i = 0; i < headers.length; i += 2) {
      request.setHeader(headers[i], headers[i + 1]);
    }
    return exchange(request.build());
  }

  static Answer exchange(HttpRequest request) {
    try {
      return new Answer(HTTP.send(request, BodyHandlers.ofString()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
