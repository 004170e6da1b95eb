package io.valetkey.broker.gateway;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.valetkey.broker.access.NeededApproval;
import io.valetkey.broker.approval.ApprovalState;
import io.valetkey.broker.approval.ApprovalStore;
import io.valetkey.broker.approval.AskedRequest;
import io.valetkey.broker.approval.Standing;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.limit.GrantMeter;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.net.Cidr;
import io.valetkey.broker.net.Resolver;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.policy.ScopeSpec;
import io.valetkey.broker.policy.TestAttempt;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.telemetry.Telemetry;
import io.valetkey.broker.telemetry.Traces;
import io.valetkey.broker.upstream.CredentialFields;
import io.vertx.core.Vertx;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;

/**
 * A gateway on a real port with a small policy: the token {@code good} of agent {@code bot} for
 * destination {@code up}, everything below {@code /v1/}.
 */
final class TestGateway implements AutoCloseable, Permissions, Credentials, Approvals, Trail {

  static final String KEY = "sk-real-0123456789-credential";

  /** One completed record: outcome, code, number of steps. */
  record Written(String outcome, ProblemCode code, Map<String, Object> details) {}

  final Vertx vertx = Vertx.vertx();
  final LiveExchanges live = new LiveExchanges(4 << 20);
  final List<Written> records = new CopyOnWriteArrayList<>();
  final AtomicInteger lookups = new AtomicInteger();
  final AtomicInteger fetches = new AtomicInteger();
  final GatewayServer server;
  final Resolver resolver;
  final ForwardProxy forward;
  final InterceptionCertificates certificates =
      new InterceptionCertificates(
          InterceptionAuthority.generate(List.of("test"), Clock.systemUTC()));
  volatile String address = "127.0.0.1";
  volatile String host = "upstream.test";

  /** What the name leads to as soon as it has been looked up once more; unchanged if null. */
  volatile String addressAfterwards;

  volatile String credential = KEY;
  volatile String refreshedCredential = KEY;
  volatile Destination.Injection injection =
      Destination.Injection.into(
          List.of(new Destination.Slot("Authorization", "Bearer ", "", null, null)));

  /** Instead of the one text. */
  volatile CredentialFields fields;

  volatile DestinationSpec.DestinationKind kind = DestinationSpec.DestinationKind.HTTP;
  volatile ProblemCode undecidable;
  volatile GrantMeter meter = GrantMeter.NONE;

  /** What every request needs besides; nothing if null. */
  volatile NeededApproval approval;

  /** What people have said about a request, by its hash; those asked for are pending. */
  final Map<String, Standing> approvals = new ConcurrentHashMap<>();

  volatile boolean auditDown;
  volatile boolean http2;
  volatile boolean stopped;
  final Set<String> ended = java.util.concurrent.ConcurrentHashMap.newKeySet();
  volatile boolean current = true;
  volatile boolean rewriteBodies;
  volatile boolean rawPath;
  volatile long maxRequestBody = 1 << 20;
  volatile Duration timeout = Duration.ofSeconds(5);
  volatile Duration maxStream = Duration.ofMinutes(15);
  private final int upstreamPort;

  TestGateway(int upstreamPort, TrustManagerFactory trust) {
    this(upstreamPort, trust, Duration.ofSeconds(30));
  }

  TestGateway(int upstreamPort, TrustManagerFactory trust, Duration idle) {
    this(upstreamPort, trust, idle, Duration.ofMinutes(5));
  }

  TestGateway(int upstreamPort, TrustManagerFactory trust, Duration idle, Duration webSocketIdle) {
    this(
        upstreamPort,
        trust,
        idle,
        webSocketIdle,
        Duration.ofSeconds(2),
        Duration.ofSeconds(1),
        null);
  }

  /** With other bounds for handshakes and heads, for programs that take their time to start. */
  TestGateway(
      int upstreamPort, TrustManagerFactory trust, Duration idle, Duration connect, Duration head) {
    this(upstreamPort, trust, idle, Duration.ofMinutes(5), connect, head, null);
  }

  /** Whose destinations are behind a proxy. */
  TestGateway(int upstreamPort, TrustManagerFactory trust, UpstreamProxy proxy) {
    this(
        upstreamPort,
        trust,
        Duration.ofSeconds(30),
        Duration.ofMinutes(5),
        Duration.ofSeconds(10),
        Duration.ofSeconds(10),
        null,
        Duration.ofSeconds(60),
        proxy);
  }

  /** With a certificate of its own, and with it HTTP/2. */
  TestGateway(int upstreamPort, TrustManagerFactory trust, KeyManagerFactory own) {
    this(upstreamPort, trust, own, Duration.ofSeconds(60));
  }

  /** The same with another bound for connections on which nothing happens. */
  TestGateway(int upstreamPort, TrustManagerFactory trust, KeyManagerFactory own, Duration keep) {
    this(
        upstreamPort,
        trust,
        Duration.ofSeconds(30),
        Duration.ofMinutes(5),
        Duration.ofSeconds(5),
        Duration.ofSeconds(5),
        own,
        keep,
        null);
  }

  /** With all bounds that callers and upstreams feel. */
  TestGateway(
      int upstreamPort,
      TrustManagerFactory trust,
      Duration idle,
      Duration webSocketIdle,
      Duration connect,
      Duration head,
      KeyManagerFactory own) {
    this(
        upstreamPort, trust, idle, webSocketIdle, connect, head, own, Duration.ofSeconds(60), null);
  }

  private TestGateway(
      int upstreamPort,
      TrustManagerFactory trust,
      Duration idle,
      Duration webSocketIdle,
      Duration connect,
      Duration head,
      KeyManagerFactory own,
      Duration keepAlive,
      UpstreamProxy proxy) {
    this.upstreamPort = upstreamPort;
    var settings =
        new GatewaySettings(
            "127.0.0.1",
            0,
            "https://gateway.test",
            new DestinationHosts("gateway.test", "https://gateway.test"),
            connect,
            head,
            idle,
            webSocketIdle,
            keepAlive,
            false,
            Duration.ofSeconds(2));
    resolver =
        new Resolver(
            AddressRules.forDestinations(List.of(Cidr.parse("127.0.0.0/8")), Set.of()),
            this::lookUp,
            Duration.ZERO,
            Duration.ofSeconds(2),
            Clock.systemUTC());
    server =
        new GatewayServer(
            vertx,
            settings,
            this,
            this,
            new Egress(resolver, proxy, resolver),
            this,
            this,
            live,
            trust,
            own,
            telemetry(),
            Clock.systemUTC());
    forward =
        new ForwardProxy(
            vertx, server, new ForwardSettings("127.0.0.1", 0, false, false), certificates, null);
    server.forward(forward);
    server.start();
  }

  private static GatewayTelemetry telemetry() {
    return new GatewayTelemetry(new Telemetry(Traces.OFF), new SimpleMeterRegistry());
  }

  TestHttp proxyCaller() throws Exception {
    return new TestHttp(forward.port());
  }

  TestHttp caller() throws Exception {
    return new TestHttp(server.port());
  }

  static String get(String path) {
    return "GET " + path + " HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer good\r\n\r\n";
  }

  static String post(String path, String fields, String body) {
    return "POST " + path + " HTTP/1.1\r\nHost: g\r\nx-api-key: good\r\n" + fields + "\r\n" + body;
  }

  private InetAddress[] lookUp(String host) throws UnknownHostException {
    lookups.incrementAndGet();
    String answer = Egress.isAddress(host) ? host : address;
    address = addressAfterwards == null ? address : addressAfterwards;
    return new InetAddress[] {InetAddress.ofLiteral(answer)};
  }

  @Override
  public Caller verify(String token) {
    if (token.startsWith("expired") || ended.contains(token)) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "test");
    }
    if (!token.startsWith("good")) {
      throw new RefusedException(ProblemCode.SIGNATURE_INVALID, "test");
    }
    String destination = token.contains("other") ? "other" : "up";
    String thumbprint = token.contains("bound") ? "thumbprint" : null;
    return new Caller(
        "1." + token,
        "key",
        1,
        "bot",
        "issuer",
        "subject",
        destination,
        Set.of("s"),
        thumbprint,
        null);
  }

  @Override
  public CompletableFuture<Caller> identify(
      String thumbprint, Supplier<List<X509Certificate>> chain, String origin) {
    return CompletableFuture.failedFuture(
        new RefusedException(ProblemCode.AGENT_UNKNOWN, "nobody shows a certificate here"));
  }

  @Override
  public CompletableFuture<Void> prove(String token, Caller caller, Possession possession) {
    return (caller.keyThumbprint() != null) == possession.announced()
        ? CompletableFuture.completedFuture(null)
        : CompletableFuture.failedFuture(new RefusedException(ProblemCode.INVALID_TOKEN, "test"));
  }

  @Override
  public Manner atOrigin(String destination, String origin) {
    return destination.equals("up") && origin.equals("https://" + host + ":" + upstreamPort)
        ? kind.manner()
        : null;
  }

  @Override
  public Permit authorise(
      Caller caller, String destination, String method, RequestPath path, RequestFacts facts) {
    if (undecidable != null) {
      throw new RefusedException(undecidable, "test");
    }
    if (stopped) {
      throw new RefusedException(ProblemCode.STOPPED, "test");
    }
    if (kind.manner() != Manner.BROKERED) {
      throw new RefusedException(ProblemCode.DESTINATION_UNKNOWN, "test");
    }
    return allowed(caller, destination, method, path, facts);
  }

  private Permit allowed(
      Caller caller, String destination, String method, RequestPath path, RequestFacts facts) {
    if (!destination.equals("up") || !caller.destination().equals("up")) {
      throw new RefusedException(ProblemCode.DESTINATION_UNKNOWN, "test");
    }
    var scope =
        new ScopeSpec(
            List.of(
                new ScopeSpec.Rule(ScopeRules.METHODS, List.of("/v1/**")),
                new ScopeSpec.Rule(List.of("GET"), List.of("/v1/live/**"), true)),
            null,
            null);
    var rules = new ScopeRules(Map.of("s", scope.allow()), Set.of(), Map.of(), rawPath);
    var answer = rules.match(new TestAttempt(method, path, facts), caller.scopes()::contains);
    if (!(answer instanceof ScopeRules.Match match)) {
      throw new RefusedException(ProblemCode.INSUFFICIENT_SCOPE, "test");
    }
    var target =
        new Destination(
            "up",
            kind,
            true,
            "https://" + host,
            host,
            upstreamPort,
            new DestinationSpec.Credential.File("up"),
            null,
            injection,
            timeout,
            maxStream,
            maxRequestBody,
            http2,
            false,
            rewriteBodies,
            Map.of("s", scope),
            rules);
    return new Permit("s:" + match.pattern(), 1, target, meter, approval);
  }

  @Override
  public Destination authoriseInterception(Caller caller, String destination) {
    return authorise(caller, destination, "GET", RequestPath.parse("/v1/any"), RequestFacts.UNKNOWN)
        .target();
  }

  @Override
  public Permit authoriseTunnel(Caller caller, String destination) {
    if (stopped) {
      throw new RefusedException(ProblemCode.STOPPED, "test");
    }
    return allowed(caller, destination, "GET", RequestPath.parse("/v1/any"), RequestFacts.UNKNOWN);
  }

  @Override
  public boolean areCurrent() {
    return current;
  }

  @Override
  public CompletableFuture<Credential> get(DestinationSpec.Credential reference) {
    fetches.incrementAndGet();
    return CompletableFuture.supplyAsync(
        () -> new Credential(fields == null ? of(credential) : fields, 1));
  }

  @Override
  public CompletableFuture<Credential> refresh(DestinationSpec.Credential reference) {
    long version = refreshedCredential.equals(credential) ? 1 : 2;
    return CompletableFuture.supplyAsync(() -> new Credential(of(refreshedCredential), version));
  }

  private static CredentialFields of(String text) {
    return CredentialFields.of(SecretValue.of(text));
  }

  @Override
  public CompletableFuture<Standing> ask(AskedRequest request) {
    return CompletableFuture.completedFuture(
        approvals.computeIfAbsent(request.shown().hashText(), TestGateway::pending));
  }

  private static Standing pending(String hash) {
    UUID id = UUID.nameUUIDFromBytes(hash.getBytes(StandardCharsets.US_ASCII));
    return new Standing(id, ApprovalState.PENDING, Instant.EPOCH);
  }

  @Override
  public CompletableFuture<ApprovalStore.Use> use(UUID id, AskedRequest request) {
    String hash = request.shown().hashText();
    Standing standing = approvals.get(hash);
    boolean usable = standing != null && standing.state() == ApprovalState.APPROVED;
    return CompletableFuture.completedFuture(
        usable && approvals.remove(hash, standing)
            ? ApprovalStore.Use.USED
            : ApprovalStore.Use.GONE);
  }

  @Override
  public CompletableFuture<Void> decided(UUID id, Duration most) {
    return new CompletableFuture<Void>()
        .completeOnTimeout(null, most.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public CompletableFuture<Optional<Standing>> find(UUID id, Caller caller) {
    return CompletableFuture.completedFuture(
        approvals.values().stream().filter(standing -> standing.id().equals(id)).findFirst());
  }

  @Override
  public Entry open() {
    return new MemoryEntry();
  }

  @Override
  public Entry openEnd() {
    return new MemoryEntry();
  }

  private final class MemoryEntry implements Entry {
    private final UUID id = UUID.randomUUID();
    private final Map<String, Object> details = new java.util.concurrent.ConcurrentHashMap<>();

    @Override
    public UUID decisionId() {
      return id;
    }

    @Override
    public void caller(Caller caller) {
      details.put("agent", caller.agent());
    }

    @Override
    public void destination(String name) {
      details.put("destination", name);
    }

    @Override
    public void detail(String name, Object value) {
      details.put(name, value);
    }

    @Override
    public CompletableFuture<Boolean> granted(long epoch) {
      return written("granted", null).thenApply(x -> true);
    }

    @Override
    public CompletableFuture<?> refused(ProblemCode code, String detail) {
      return written("refused", code);
    }

    @Override
    public CompletableFuture<?> failed(ProblemCode code, String detail) {
      details.put("detail", detail);
      return written("failed", code);
    }

    @Override
    public CompletableFuture<?> ended() {
      return written("ended", null);
    }

    @Override
    public CompletableFuture<?> counted(String agent, String destination, String rule, long count) {
      details.put("count", count);
      return written("counted", null);
    }

    private CompletableFuture<Void> written(String outcome, ProblemCode code) {
      if (auditDown) {
        return CompletableFuture.failedFuture(
            new RefusedException(ProblemCode.AUDIT_UNAVAILABLE, "test"));
      }
      return CompletableFuture.runAsync(() -> records.add(new Written(outcome, code, details)));
    }
  }

  @Override
  public void close() {
    server.stop();
    vertx.close().toCompletionStage().toCompletableFuture().join();
  }
}
