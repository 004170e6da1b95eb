package io.valetkey.broker.proofs;

import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.text.ParseException;
import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Asks for tokens over the wire, as any client does. */
final class Tokens {

  static final String DESTINATION =
      "{\"kind\":\"http\",\"origin\":\"https://api.%s.test\",\"credential\":"
          + "{\"source\":\"file\",\"name\":\"key\"}}";

  private static final HttpClient CLIENT =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  private Tokens() {}

  /** What came back, and how long it took. */
  record Answer(int status, JsonNode body, HttpResponse<String> http, Duration took) {

    boolean hasToken() {
      return body.has("access_token");
    }

    String error() {
      return body.path("error").asString();
    }

    String token() {
      return body.path("access_token").asString();
    }

    SignedJWT parsed() {
      try {
        return SignedJWT.parse(token());
      } catch (ParseException e) {
        throw new AssertionError(e);
      }
    }

    String jti() {
      try {
        return parsed().getJWTClaimsSet().getJWTID();
      } catch (ParseException e) {
        throw new AssertionError(e);
      }
    }
  }

  /** One agent with two scopes on one destination, which the broker has taken in. */
  static void writeOneAgent(RunningBroker broker, TestIssuer issuer) throws Exception {
    new Policies(broker)
        .issuer(issuer)
        .agent("bot", issuer.name(), "bot-subject", "")
        .destination("openai", DESTINATION.formatted("openai"))
        .scope("openai", "chat", "{\"allow\":[]}")
        .scope("openai", "files", "{\"allow\":[]}")
        .grant("bot-openai", "bot", "openai", List.of("chat", "files"))
        .await(broker);
  }

  static Map<String, String> clientCredentials(String identityToken) {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("grant_type", "client_credentials");
    form.put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.put("client_assertion", identityToken);
    form.put("audience", "openai");
    return form;
  }

  static Map<String, String> exchange(String identityToken) {
    Map<String, String> form = new LinkedHashMap<>();
    form.put("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    form.put("subject_token", identityToken);
    form.put("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
    form.put("audience", "openai");
    return form;
  }

  static Answer ask(String brokerUrl, Map<String, String> form, String... headers)
      throws IOException, InterruptedException {
    return post(URI.create(brokerUrl + "/oauth2/token"), form, headers);
  }

  static Answer post(URI uri, Map<String, String> form, String... headers)
      throws IOException, InterruptedException {
    var request =
        HttpRequest.newBuilder(uri)
            .timeout(Duration.ofSeconds(20))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(encode(form)));
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    return send(request.build());
  }

  static Answer get(URI uri, String... headers) throws IOException, InterruptedException {
    var request = HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(20));
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    return send(request.build());
  }

  /** An answer as it came, which need not be JSON. */
  static String raw(URI uri) throws IOException, InterruptedException {
    return CLIENT.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body();
  }

  private static Answer send(HttpRequest request) throws IOException, InterruptedException {
    long begun = System.nanoTime();
    HttpResponse<String> response = CLIENT.send(request, BodyHandlers.ofString());
    Duration took = Duration.ofNanos(System.nanoTime() - begun);
    return new Answer(
        response.statusCode(), JsonMapper.shared().readTree(response.body()), response, took);
  }

  static String encode(Map<String, String> form) {
    return form.entrySet().stream()
        .map(e -> e.getKey() + "=" + URLEncoder.encode(e.getValue(), StandardCharsets.UTF_8))
        .collect(Collectors.joining("&"));
  }

  /** The ids of all tokens that the audit trail says were issued. */
  static Set<String> recorded(Connection database) throws SQLException {
    Set<String> ids = new HashSet<>();
    try (var statement =
            database.prepareStatement(
                "SELECT jti FROM audit_record"
                    + " WHERE action = 'token.issue' AND outcome = 'granted'");
        var rows = statement.executeQuery()) {
      while (rows.next()) {
        if (!ids.add(rows.getString(1))) {
          throw new AssertionError("recorded twice: " + rows.getString(1));
        }
      }
    }
    return ids;
  }
}
