package io.valetkey.client;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * The broker's token endpoint, asked by token exchange (RFC 8693 §2.1): the identity token is the
 * proof, there is no client secret. One attempt, bounded in time and size, no redirect followed.
 */
final class TokenEndpoint {
  private final URI endpoint;
  private final HttpClient http;
  private final IdentitySource identity;
  private final Executor executor;
  private final Duration timeout;
  private final Clock clock;

  TokenEndpoint(
      URI broker,
      HttpClient http,
      IdentitySource identity,
      Executor executor,
      Duration timeout,
      Clock clock) {
    this.endpoint = URI.create(broker + "/oauth2/token");
    this.http = http;
    this.identity = identity;
    this.executor = executor;
    this.timeout = timeout;
    this.clock = clock;
  }

  /** Fails with a {@link ValetkeyException} only, within the timeout. No scopes: all granted. */
  CompletableFuture<AccessToken> exchange(String destination, List<String> scopes) {
    return CompletableFuture.supplyAsync(this::identityToken, executor)
        .thenCompose(identityToken -> send(identityToken, destination, scopes))
        .orTimeout(timeout.toMillis(), TimeUnit.MILLISECONDS)
        .exceptionally(failure -> {
          throw BrokerCall.understood(failure, endpoint, timeout);
        });
  }

  private String identityToken() {
    String token;
    try {
      token = identity.identityToken();
    } catch (IOException | RuntimeException e) {
      throw new UnavailableException(
          "The identity token cannot be had just now: " + e.getMessage(), e);
    }
    if (!CompactJws.isWellFormed(token)) {
      throw new UnavailableException(
          "The identity source gave something that is not a JWT of at most 16 KiB", null);
    }
    return token;
  }

  private CompletableFuture<AccessToken> send(
      String identityToken, String destination, List<String> scopes) {
    HttpRequest request =
        HttpRequest.newBuilder(endpoint)
            .version(HttpClient.Version.HTTP_1_1)
            .timeout(timeout)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Accept", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(form(identityToken, destination, scopes)))
            .build();
    long sentAt = clock.millis();
    return BrokerCall.send(http, request, timeout)
        .thenApply(answer ->
            new TokenAnswer(answer.statusCode(), answer.headers(), answer.body(), clock)
                .token(destination, sentAt));
  }

  private static String form(String identityToken, String destination, List<String> scopes) {
    String form =
        "grant_type="
            + encoded("urn:ietf:params:oauth:grant-type:token-exchange")
            + "&subject_token="
            + encoded(identityToken)
            + "&subject_token_type="
            + encoded("urn:ietf:params:oauth:token-type:jwt")
            + "&audience="
            + encoded(destination);
    return scopes.isEmpty() ? form : form + "&scope=" + encoded(String.join(" ", scopes));
  }

  private static String encoded(String value) {
    return URLEncoder.encode(value, UTF_8);
  }
}
