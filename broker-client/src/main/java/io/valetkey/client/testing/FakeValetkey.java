package io.valetkey.client.testing;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import io.valetkey.client.Valetkey;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A broker and a gateway for the tests of an application: in process, on a free loopback port, with
 * real HTTP and really signed tokens (ES256, {@code typ: at+jwt}, RFC 9068 claims). The broker half
 * checks the form of a request and believes every identity; the gateway half checks signature,
 * audience and expiry, and then answers what the test told it to.
 *
 * <pre>{@code
 * try (FakeValetkey fake = FakeValetkey.start()) {
 *   fake.answer("openai", Answer.json("{\"id\":\"chat-1\"}"));
 *   MyAgent agent = new MyAgent(fake.connect());
 *
 *   agent.ask("Which way?");
 *
 *   assertThat(fake.received()).extracting(ReceivedRequest::path).containsExactly("/v1/chat");
 * }
 * }</pre>
 *
 * <p>An application that reads its settings from the environment gets {@link #brokerUrl()} and
 * {@link #gatewayUrl()} instead. Every destination and scope exists until it is {@linkplain #deny
 * denied}; a request without scopes gets the scope {@code all}. Safe for any number of threads.
 */
public final class FakeValetkey implements AutoCloseable {
  private final HttpServer server;
  private final ExecutorService workers;
  private final TokenSigner signer = new TokenSigner();
  private final FakeTokens tokens;
  private final FakeTokenEndpoint endpoint;
  private final FakeGateway gateway;
  private final FakeLeases leases;
  private final String url;
  private final Clock clock;

  private FakeValetkey(Builder builder) {
    try {
      server =
          HttpServer.create(
              new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), 0), 256);
    } catch (IOException e) {
      throw new UncheckedIOException("No loopback port to listen on", e);
    }
    url = "http://127.0.0.1:" + server.getAddress().getPort();
    clock = builder.clock;
    tokens = new FakeTokens(signer, url, url, builder.tokenLife, clock);
    endpoint = new FakeTokenEndpoint(tokens);
    gateway = new FakeGateway(tokens);
    leases = new FakeLeases(tokens, endpoint, builder.leaseLife, builder.leaseMaxLife, clock);
    workers =
        Executors.newCachedThreadPool(task -> {
          Thread thread = new Thread(task, "fake-valetkey");
          thread.setDaemon(true);
          return thread;
        });
    server.setExecutor(workers);
    serve("/oauth2/token", endpoint::handle);
    serve("/oauth2/jwks", exchange -> send(exchange, Answer.json(signer.jwks())));
    serve("/v1/leases", leases::handle);
    serve("/d/", gateway::handle);
    server.start();
  }

  private void serve(String path, HttpHandler handler) {
    var unused =
        server.createContext(
            path,
            exchange -> {
              try (exchange) {
                handler.handle(exchange);
              }
            });
  }

  /** Starts one with tokens of five minutes. */
  public static FakeValetkey start() {
    return builder().start();
  }

  /** For other settings. */
  public static Builder builder() {
    return new Builder();
  }

  /** What {@code VALETKEY_URL} would be. */
  public String brokerUrl() {
    return url;
  }

  /** What {@code VALETKEY_GATEWAY_URL} would be. */
  public String gatewayUrl() {
    return url;
  }

  /** A client of this fake, with an identity and the fake's clock. */
  public Valetkey connect() {
    return Valetkey.builder()
        .brokerUrl(brokerUrl())
        .gatewayUrl(gatewayUrl())
        .identity(this::identityToken)
        .clock(clock)
        .build();
  }

  /** An identity token such as a platform would give, for applications that read one themselves. */
  public String identityToken() {
    long now = clock.instant().getEpochSecond();
    return signer.sign(
        "JWT",
        String.format(
            "{\"iss\":\"https://fake.test\",\"sub\":\"fake-agent\",\"aud\":\"%s\",\"iat\":%d,"
                + "\"exp\":%d}",
            url, now, now + 3600));
  }

  /** What the upstream of this destination answers from now on; 200 {@code {}} until then. */
  public void answer(String destination, Answer answer) {
    answer(destination, request -> answer);
  }

  /** As {@link #answer(String, Answer)}, deciding for each request. */
  public void answer(String destination, Function<ReceivedRequest, Answer> upstream) {
    gateway.answer(destination, upstream);
  }

  /**
   * The broker refuses tokens for this destination from now on, and leases of it; those it issued
   * stay good.
   *
   * @param error an OAuth error code, such as {@code invalid_target} or {@code invalid_request}
   */
  public void deny(String destination, String error) {
    endpoint.deny(destination, error);
  }

  /** Takes {@link #deny} back. */
  public void allow(String destination) {
    endpoint.allow(destination);
  }

  /** The gateway refuses every token issued so far, as after a stop that was lifted again. */
  public void expireTokens() {
    tokens.expireAll();
  }

  /**
   * What leases of this destination hand out from now on, besides {@code type} and {@code url}; a
   * function, because each lease has another one. Until then: a {@code username} and a {@code
   * password} that the fake makes up.
   *
   * @param url where the credential is good, such as {@code postgresql://localhost:5432/orders}
   * @param credential makes the members of one credential; asked once for each lease
   */
  public void lease(String destination, String url, Supplier<Map<String, String>> credential) {
    leases.hand(destination, url, credential);
  }

  /** Takes every lease back at its source, as a stop does; new ones can be had. */
  public void revokeLeases() {
    leases.revokeAll();
  }

  /** Hands out the next lease and hangs up before the answer, as when a connection is cut. */
  public void loseNextLease() {
    leases.loseNext();
  }

  /** How many leases are neither given back, nor taken back, nor at their end. */
  public int liveLeases() {
    return leases.live();
  }

  /** How many leases were handed out, lost ones included. */
  public int issuedLeases() {
    return leases.issued();
  }

  /** The broker hangs up on everybody; the gateway stays. */
  public void goOffline() {
    endpoint.offline(true);
  }

  /** The broker answers 503 with this {@code Retry-After}, in whole seconds; the gateway stays. */
  public void goBusy(Duration retryAfter) {
    endpoint.busy(retryAfter);
  }

  /** The broker is there again, and not busy. */
  public void goOnline() {
    endpoint.offline(false);
    endpoint.busy(null);
  }

  /** How many access tokens were issued. */
  public int issuedTokens() {
    return tokens.issued();
  }

  /** How often the token endpoint was asked, refused and dropped requests included. */
  public int tokenRequests() {
    return endpoint.requests();
  }

  /** What reached the upstreams, in order. */
  public List<ReceivedRequest> received() {
    return gateway.received();
  }

  /** Stops at once; open exchanges are cut. */
  @Override
  public void close() {
    server.stop(0);
    workers.shutdownNow();
  }

  @Override
  public String toString() {
    return "FakeValetkey[" + url + "]";
  }

  static void send(HttpExchange exchange, Answer answer) throws IOException {
    byte[] body = answer.bytes();
    answer.headers().forEach(exchange.getResponseHeaders()::set);
    exchange.sendResponseHeaders(answer.status(), body.length == 0 ? -1 : body.length);
    if (body.length > 0) {
      exchange.getResponseBody().write(body);
    }
  }

  /** The settings of a {@link FakeValetkey}. */
  public static final class Builder {
    private Duration tokenLife = Duration.ofMinutes(5);
    private Duration leaseLife = Duration.ofHours(1);
    private Duration leaseMaxLife = Duration.ofHours(8);
    private Clock clock = Clock.systemUTC();

    private Builder() {}

    /**
     * How long access tokens live, in whole seconds.
     *
     * @throws IllegalArgumentException unless between one second and one hour
     */
    public Builder tokenLife(Duration life) {
      if (life.toSeconds() < 1 || life.toSeconds() > 3600) {
        throw new IllegalArgumentException("tokenLife must be between 1 s and 1 h: " + life);
      }
      this.tokenLife = life;
      return this;
    }

    /**
     * How long a lease lives, and how long with all renewals; one hour and eight by default.
     *
     * @throws IllegalArgumentException unless {@code life} is at least one second, and {@code
     *     longest} not shorter than it
     */
    public Builder leaseLife(Duration life, Duration longest) {
      if (life.toSeconds() < 1 || longest.compareTo(life) < 0) {
        throw new IllegalArgumentException("Not the life of a lease: " + life + ", " + longest);
      }
      this.leaseLife = life;
      this.leaseMaxLife = longest;
      return this;
    }

    /** The time of the fake and of the clients that it connects; the system's by default. */
    public Builder clock(Clock time) {
      this.clock = time;
      return this;
    }

    /** Starts to listen. */
    public FakeValetkey start() {
      return new FakeValetkey(this);
    }
  }
}
