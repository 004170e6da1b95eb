package io.valetkey.client;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The broker's lease endpoint for one destination. A request for a lease whose answer was lost is
 * sent again with the same {@code Idempotency-Key}, by this call or the next one: the broker then
 * takes the lost lease back and hands out another. No key is given up before its outcome is known.
 */
final class LeaseCalls {
  private static final int MAX_ATTEMPTS = 4;
  private static final Duration FIRST_PAUSE = Duration.ofMillis(200);

  /** A broker that wants to be left alone for longer is for the caller to wait for. */
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);

  private final URI endpoint;
  private final HttpClient http;
  private final String destination;
  private final List<String> scopes;
  private final FreshCache<AccessToken> tokens;
  private final Duration timeout;
  private final Clock clock;
  private final Queue<String> unsettledKeys = new ConcurrentLinkedQueue<>();

  LeaseCalls(
      URI broker,
      HttpClient http,
      String destination,
      List<String> scopes,
      FreshCache<AccessToken> tokens,
      Duration timeout,
      Clock clock) {
    this.endpoint = URI.create(broker + "/v1/leases");
    this.http = http;
    this.destination = destination;
    this.scopes = scopes;
    this.tokens = tokens;
    this.timeout = timeout;
    this.clock = clock;
  }

  long now() {
    return clock.millis();
  }

  /** A new lease; fails with a {@link ValetkeyException} only, within about twice the timeout. */
  CompletableFuture<Lease> obtain() {
    String unsettled = unsettledKeys.poll();
    String key = unsettled == null ? UUID.randomUUID().toString() : unsettled;
    return persistently(() -> obtain(key))
        .whenComplete((lease, failure) -> {
          if (failure != null && BrokerCall.understood(failure, endpoint, timeout).retryable()) {
            unsettledKeys.add(key);
          }
        });
  }

  private CompletableFuture<Lease> obtain(String key) {
    String scope = scopes.size() == 1 ? ",\"scope\":\"" + scopes.get(0) + "\"" : "";
    String body = "{\"destination\":\"" + destination + "\"" + scope + "}";
    HttpRequest.Builder request =
        request("")
            .header("Idempotency-Key", key)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body));
    long sentAt = clock.millis();
    return send(request).thenApply(answer -> answer.lease(this, sentAt));
  }

  /** A longer life for it, or a failure; a {@link RefusedException} if there is none to be had. */
  CompletableFuture<Lease.Life> renew(String id) {
    long sentAt = clock.millis();
    return send(request("/" + id + "/renew").POST(BodyPublishers.noBody()))
        .thenApply(answer -> {
          if (answer.status() == 409) {
            throw new RefusedException(
                "The lease of destination " + destination + " cannot be renewed any more",
                "conflict",
                null,
                null);
          }
          return answer.life(sentAt);
        });
  }

  /** Whether the broker still has it. */
  CompletableFuture<Boolean> isActive(String id) {
    return send(request("/" + id).GET()).thenApply(LeaseAnswer::isActive);
  }

  /** Gives it back. Done when it is gone or ordered to go, or never was. */
  CompletableFuture<Void> release(String id) {
    return persistently(() ->
        send(request("/" + id).DELETE())
            .thenAccept(answer -> {
              int status = answer.status();
              if (status != 204 && status != 202 && status != 404) {
                throw answer.failure();
              }
            }));
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(endpoint + path))
        .version(HttpClient.Version.HTTP_1_1)
        .timeout(timeout)
        .header("Accept", "application/json, application/problem+json");
  }

  /** With a token, and once more with another one if the first is refused. */
  private CompletableFuture<LeaseAnswer> send(HttpRequest.Builder request) {
    return tokens
        .currentAsync()
        .thenCompose(token ->
            send(request, token)
                .thenCompose(answer ->
                    answer.isTokenRefused()
                        ? tokens.replace(token).thenCompose(other -> send(request, other))
                        : CompletableFuture.completedFuture(answer)))
        .exceptionally(failure -> {
          throw BrokerCall.understood(failure, endpoint, timeout);
        });
  }

  private CompletableFuture<LeaseAnswer> send(HttpRequest.Builder request, AccessToken token) {
    HttpRequest signed = request.copy().setHeader("Authorization", token.authorization()).build();
    return BrokerCall.send(http, signed, timeout)
        .thenApply(answer -> new LeaseAnswer(answer, clock, destination));
  }

  /** Tries again what failed for now, while it does not take longer than one attempt may. */
  private <T> CompletableFuture<T> persistently(Supplier<CompletableFuture<T>> call) {
    CompletableFuture<T> result = new CompletableFuture<>();
    attempt(call, 1, System.nanoTime() + timeout.toNanos(), result);
    return result;
  }

  private <T> void attempt(
      Supplier<CompletableFuture<T>> call, int number, long endNanos, CompletableFuture<T> result) {
    try {
      var unused =
          call.get()
              .whenComplete((value, failure) -> {
                if (failure == null) {
                  result.complete(value);
                  return;
                }
                ValetkeyException known = BrokerCall.understood(failure, endpoint, timeout);
                Duration pause = pause(known, number);
                if (isLast(known, number, pause, endNanos)) {
                  result.completeExceptionally(known);
                } else {
                  CompletableFuture.delayedExecutor(pause.toMillis(), TimeUnit.MILLISECONDS)
                      .execute(() -> attempt(call, number + 1, endNanos, result));
                }
              });
    } catch (RuntimeException | Error e) { // e.g. no more threads; nobody may wait for ever
      result.completeExceptionally(e);
    }
  }

  private static boolean isLast(
      ValetkeyException failure, int number, Duration pause, long endNanos) {
    return !failure.retryable()
        || number >= MAX_ATTEMPTS
        || isLimit(failure)
        || pause.compareTo(LONGEST_PAUSE) > 0
        || System.nanoTime() + pause.toNanos() - endNanos > 0;
  }

  /** A limit is not lifted by asking again at once. */
  private static boolean isLimit(ValetkeyException failure) {
    String code = failure.error().orElse("");
    return code.equals("lease_limit") || code.equals("rate_limited");
  }

  private static Duration pause(ValetkeyException failure, int number) {
    if (failure instanceof UnavailableException away && away.retryAfter().isPresent()) {
      return away.retryAfter().get();
    }
    return FIRST_PAUSE.multipliedBy(1L << Math.min(number - 1, 10));
  }

  /** Waits; a failure is one of the library's own. */
  static <T> T await(CompletableFuture<T> pending) {
    return FreshCache.await(pending);
  }

  @Override
  public String toString() {
    return "LeaseCalls[" + endpoint + ", " + destination + "]";
  }

  /** Whether what a future failed with is a refusal. */
  static boolean isRefusal(Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause instanceof RefusedException;
  }
}
