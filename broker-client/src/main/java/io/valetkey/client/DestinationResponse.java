package io.valetkey.client;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Optional;
import javax.net.ssl.SSLSession;

/** An answer that refers to the request as the caller made it, without the token in its headers. */
final class DestinationResponse<T> implements HttpResponse<T> {
  private final HttpResponse<T> answer;
  private final HttpRequest asked;

  DestinationResponse(HttpResponse<T> answer, HttpRequest asked) {
    this.answer = answer;
    this.asked = asked;
  }

  @Override
  public int statusCode() {
    return answer.statusCode();
  }

  @Override
  public HttpRequest request() {
    return asked;
  }

  /** Always empty: redirects are not followed, and a retry after 401 is nobody's business. */
  @Override
  public Optional<HttpResponse<T>> previousResponse() {
    return Optional.empty();
  }

  @Override
  public HttpHeaders headers() {
    return answer.headers();
  }

  @Override
  public T body() {
    return answer.body();
  }

  @Override
  public Optional<SSLSession> sslSession() {
    return answer.sslSession();
  }

  @Override
  public URI uri() {
    return answer.uri();
  }

  @Override
  public HttpClient.Version version() {
    return answer.version();
  }

  @Override
  public String toString() {
    return "(" + asked.method() + " " + uri() + ") " + statusCode();
  }
}
