package io.valetkey.broker.lease;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Stands between a broker and a real Vault, passes everything on, and does something to one request
 * that was chosen before: so a crash, a lost answer or a repeated request happens at exactly one
 * step.
 */
public final class VaultProxy implements AutoCloseable {

  /** What happens to the request that was chosen. */
  public enum Fault {
    /** Something happens before Vault sees it; then it is never answered. */
    BEFORE,
    /** Vault carries it out; then something happens, and it is never answered. */
    AFTER,
    /** Vault carries it out; then something happens, and it is answered. */
    MEANWHILE,
    /** Vault carries it out, and the answer is lost. */
    LOSE_ANSWER,
    /** Vault gets it twice, and the second answer is given. */
    TWICE
  }

  /** A fault that waits for its request. */
  private record Plan(String method, String pathPart, Fault fault, Runnable event) {}

  private final URI vault;
  private final HttpServer server;
  private final HttpClient client = HttpClient.newHttpClient();
  private final AtomicReference<@Nullable Plan> plan = new AtomicReference<>();
  private final AtomicInteger requests = new AtomicInteger();

  public VaultProxy(URI vault) {
    this.vault = vault;
    try {
      this.server =
          HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext("/", this::handle);
    server.start();
  }

  public String uri() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  /** How many requests have passed. */
  public int requests() {
    return requests.get();
  }

  /** Does something to the next request whose path has this part. */
  public void plan(String method, String pathPart, Fault fault, Runnable event) {
    plan.set(new Plan(method, pathPart, fault, event));
  }

  /** Whether the plan was carried out. */
  public boolean done() {
    return plan.get() == null;
  }

  private void handle(HttpExchange exchange) throws IOException {
    requests.incrementAndGet();
    byte[] body = exchange.getRequestBody().readAllBytes();
    Plan next = plan.get();
    boolean chosen =
        next != null
            && exchange.getRequestMethod().equals(next.method())
            && exchange.getRequestURI().getPath().contains(next.pathPart())
            && plan.compareAndSet(next, null);
    if (!chosen || next == null) {
      answer(exchange, forward(exchange, body));
      return;
    }
    switch (next.fault()) {
      case BEFORE -> {
        next.event().run();
        exchange.close();
      }
      case AFTER -> {
        var _ = forward(exchange, body);
        next.event().run();
        exchange.close();
      }
      case MEANWHILE -> {
        HttpResponse<byte[]> response = forward(exchange, body);
        next.event().run();
        answer(exchange, response);
      }
      case LOSE_ANSWER -> {
        var _ = forward(exchange, body);
        exchange.close();
      }
      case TWICE -> {
        var _ = forward(exchange, body);
        answer(exchange, forward(exchange, body));
      }
    }
  }

  private HttpResponse<byte[]> forward(HttpExchange exchange, byte[] body) throws IOException {
    var request =
        HttpRequest.newBuilder(vault.resolve(exchange.getRequestURI().toString()))
            .method(
                exchange.getRequestMethod(),
                body.length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
    for (String name : new String[] {"X-Vault-Token", "Content-Type", "X-Vault-Request"}) {
      String value = exchange.getRequestHeaders().getFirst(name);
      if (value != null) {
        request.header(name, value);
      }
    }
    try {
      return client.send(request.build(), BodyHandlers.ofByteArray());
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  private static void answer(HttpExchange exchange, HttpResponse<byte[]> response)
      throws IOException {
    response
        .headers()
        .firstValue("Content-Type")
        .ifPresent(type -> exchange.getResponseHeaders().set("Content-Type", type));
    exchange.sendResponseHeaders(
        response.statusCode(), response.body().length == 0 ? -1 : response.body().length);
    exchange.getResponseBody().write(response.body());
    exchange.close();
  }

  @Override
  public void close() {
    server.stop(0);
    client.shutdownNow();
  }
}
