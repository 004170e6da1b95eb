package io.valetkey.client;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** One request to the broker: bounded in time and size. */
final class BrokerCall {
  private static final int MAX_ANSWER = 64 * 1024;

  private BrokerCall() {}

  static CompletableFuture<HttpResponse<byte[]>> send(
      HttpClient http, HttpRequest request, Duration timeout) {
    CompletableFuture<HttpResponse<byte[]>> sent =
        http.sendAsync(request, info -> new BoundedBody(MAX_ANSWER));
    // The request's own timeout ends with the headers; a body that trickles needs this one.
    CompletableFuture<HttpResponse<byte[]>> bounded =
        sent.thenApply(answer -> answer).orTimeout(timeout.toMillis(), TimeUnit.MILLISECONDS);
    return bounded.whenComplete((answer, failure) -> sent.cancel(true));
  }

  /** Why there is no answer, in the library's own terms. */
  static ValetkeyException understood(Throwable failure, URI endpoint, Duration timeout) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof ValetkeyException known) {
      return known;
    }
    boolean late = cause instanceof TimeoutException || cause instanceof HttpTimeoutException;
    return new UnavailableException(
        late
            ? "The broker at " + endpoint + " did not answer within " + timeout.toMillis() + " ms"
            : "The broker at " + endpoint + " cannot be reached: " + cause,
        cause);
  }
}
