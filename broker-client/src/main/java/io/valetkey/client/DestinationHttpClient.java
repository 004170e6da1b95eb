package io.valetkey.client;

import java.io.IOException;
import java.net.Authenticator;
import java.net.CookieHandler;
import java.net.ProxySelector;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodySubscribers;
import java.net.http.HttpResponse.PushPromiseHandler;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import org.jspecify.annotations.Nullable;

/** Adds one destination's token to requests for it; see {@link Destination#httpClient()}. */
final class DestinationHttpClient extends HttpClient {
  private static final Pattern INVALID_TOKEN =
      Pattern.compile("(?i)^Bearer\\b.*\\berror\\s*=\\s*\"?invalid_token\\b.*");

  /** The publishers of the JDK that start from the beginning for each subscriber. */
  private static final Set<Class<?>> REPLAYABLE =
      Stream.of(
              BodyPublishers.noBody(),
              BodyPublishers.ofString(""),
              BodyPublishers.ofByteArray(new byte[0]))
          .map(Object::getClass)
          .collect(Collectors.toUnmodifiableSet());

  private final Destination destination;
  private final FreshCache<AccessToken> tokens;
  private final HttpClient plain;

  DestinationHttpClient(Destination destination, FreshCache<AccessToken> tokens, HttpClient plain) {
    this.destination = destination;
    this.tokens = tokens;
    this.plain = plain;
  }

  @Override
  public <T> HttpResponse<T> send(HttpRequest request, BodyHandler<T> handler)
      throws IOException, InterruptedException {
    if (!destination.covers(request.uri())) {
      return plain.send(request, handler);
    }
    AccessToken token = tokens.current();
    if (!isReplayable(request)) {
      return shown(plain.send(authorized(request, token), handler), request);
    }
    Attempt<T> first = new Attempt<>(handler);
    HttpResponse<T> answer = plain.send(authorized(request, token), first);
    if (first.rejected) {
      AccessToken fresh = FreshCache.await(tokens.replace(token));
      answer = plain.send(authorized(request, fresh), handler);
    }
    return shown(answer, request);
  }

  @Override
  public <T> CompletableFuture<HttpResponse<T>> sendAsync(
      HttpRequest request, BodyHandler<T> handler) {
    return sendAsync(request, handler, null);
  }

  @Override
  public <T> CompletableFuture<HttpResponse<T>> sendAsync(
      HttpRequest request, BodyHandler<T> handler, @Nullable PushPromiseHandler<T> push) {
    if (!destination.covers(request.uri())) {
      return plain.sendAsync(request, handler, push);
    }
    Attempt<T> first = new Attempt<>(handler);
    boolean replayable = isReplayable(request);
    return tokens
        .currentAsync()
        .thenCompose(token ->
            plain
                .sendAsync(authorized(request, token), replayable ? first : handler, push)
                .thenCompose(answer ->
                    first.rejected
                        ? again(request, token, handler, push)
                        : CompletableFuture.completedFuture(answer)))
        .thenApply(answer -> shown(answer, request));
  }

  private <T> CompletableFuture<HttpResponse<T>> again(
      HttpRequest request,
      AccessToken rejected,
      BodyHandler<T> handler,
      @Nullable PushPromiseHandler<T> push) {
    return tokens
        .replace(rejected)
        .thenCompose(fresh -> plain.sendAsync(authorized(request, fresh), handler, push));
  }

  private static HttpRequest authorized(HttpRequest request, AccessToken token) {
    return HttpRequest.newBuilder(request, (name, value) -> true)
        .setHeader("Authorization", token.authorization())
        .build();
  }

  private static <T> HttpResponse<T> shown(HttpResponse<T> answer, HttpRequest asked) {
    return new DestinationResponse<>(answer, asked);
  }

  private static boolean isReplayable(HttpRequest request) {
    return request.bodyPublisher().map(body -> REPLAYABLE.contains(body.getClass())).orElse(true);
  }

  /** Only the gateway marks its own answers; a 401 of the upstream is no reason to try again. */
  private static boolean isRejection(int status, HttpHeaders headers) {
    return status == 401
        && headers.firstValue("Valetkey-Error").isPresent()
        && headers.allValues("WWW-Authenticate").stream()
            .anyMatch(challenge -> INVALID_TOKEN.matcher(challenge).matches());
  }

  /** Lets the caller's handler see only an answer that will be the caller's. */
  private static final class Attempt<T> implements BodyHandler<T> {
    private final BodyHandler<T> handler;
    private volatile boolean rejected;

    Attempt(BodyHandler<T> handler) {
      this.handler = handler;
    }

    @Override
    @SuppressWarnings("NullAway") // The null body is never seen: the answer is thrown away.
    public HttpResponse.BodySubscriber<T> apply(HttpResponse.ResponseInfo info) {
      rejected = isRejection(info.statusCode(), info.headers());
      return rejected ? BodySubscribers.replacing(null) : handler.apply(info);
    }
  }

  @Override
  public Optional<CookieHandler> cookieHandler() {
    return plain.cookieHandler();
  }

  @Override
  public Optional<Duration> connectTimeout() {
    return plain.connectTimeout();
  }

  @Override
  public Redirect followRedirects() {
    return plain.followRedirects();
  }

  @Override
  public Optional<ProxySelector> proxy() {
    return plain.proxy();
  }

  @Override
  public SSLContext sslContext() {
    return plain.sslContext();
  }

  @Override
  public SSLParameters sslParameters() {
    return plain.sslParameters();
  }

  @Override
  public Optional<Authenticator> authenticator() {
    return plain.authenticator();
  }

  @Override
  public Version version() {
    return plain.version();
  }

  @Override
  public Optional<Executor> executor() {
    return plain.executor();
  }

  @Override
  public String toString() {
    return "HttpClient of " + destination;
  }
}
