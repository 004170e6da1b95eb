package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.bench.ClosedLoop.Result;
import io.valetkey.realparts.TestAuthority;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import tools.jackson.databind.json.JsonMapper;

/**
 * The gateway against nginx: the same TLS upstream, the same answer, the same injected header,
 * keep-alive on both sides. nginx puts a fixed credential in and checks nothing; the gateway
 * verifies, decides, injects and reads the answer.
 */
public final class GatewayLoad {

  private static final String PATH = "/v1/models";
  private static final String CREDENTIAL = "sk-real-" + UUID.randomUUID();
  private static final int BODY_BYTES = 1024;

  private GatewayLoad() {}

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options = new Options(args, "seconds", "rounds", "connections", "crypto");
    if (Nginx.program().isEmpty()) {
      System.err.println("SKIPPED: there is no nginx on PATH. Debian: apt-get install nginx-light");
      System.exit(3);
    }
    Conditions.print();
    Path folder = Files.createTempDirectory("valetkey-bench");
    try (BenchPostgres postgres = BenchPostgres.start()) {
      run(options, folder, postgres);
    }
    Conditions.print();
  }

  private static void run(Options options, Path folder, BenchPostgres postgres) throws Exception {
    String body = "{\"data\":\"" + "x".repeat(BODY_BYTES - 11) + "\"}";
    var authority = TestAuthority.create("upstreams");
    Path authorityPem = authority.writePem(folder);
    Path certificate = authority.server("localhost").writePem(folder, "upstream");
    Path key = folder.resolve("upstream.key");
    int upstreamPort = ServerProcess.freePort();
    int proxyPort = ServerProcess.freePort();
    int port = ServerProcess.freePort();
    int gatewayPort = ServerProcess.freePort();
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("upstream"), CREDENTIAL);
    var issuer = new IdentityIssuer(JWSAlgorithm.ES256);
    String database = postgres.createMigrated("broker");
    new PolicySeed(postgres, database).write(issuer, 100, 1, "https://localhost:" + upstreamPort);
    var settings =
        Map.of(
            "valetkey.crypto.provider", options.text("crypto", "auto"),
            "valetkey.file-source.directory", files.toString(),
            "valetkey.gateway.private-origins", "127.0.0.0/8,::1/128",
            "valetkey.gateway.trusted-certificates", authorityPem.toString());
    try (var upstream = Nginx.upstream(folder, upstreamPort, certificate, key, CREDENTIAL, body);
        var proxy = Nginx.proxy(folder, proxyPort, upstreamPort, authorityPem, CREDENTIAL);
        var broker = Servers.broker(folder, postgres, database, port, gatewayPort, settings);
        var loop = new ClosedLoop(options.number("connections", 32))) {
      System.out.printf("upstream: nginx %d with TLS 1.3, %d bytes%n", upstream.pid(), BODY_BYTES);
      String token = token(issuer, port, gatewayPort);
      var gateway = new Get(body, Map.of("Authorization", "Bearer " + token));
      var plain = new Get(body, Map.of("Authorization", "Bearer placeholder"));
      compare(
          options,
          new Target(
              List.of(broker.pid(), postgres.pid()),
              time -> loop.run(gatewayPort, "/d/dest-0" + PATH, gateway, time)),
          new Target(List.of(proxy.pid()), time -> loop.run(proxyPort, PATH, plain, time)));
    }
  }

  private interface Load {
    Result run(Duration time);
  }

  private record Target(List<Long> pids, Load load) {}

  private static void compare(Options options, Target gateway, Target nginx) throws Exception {
    int rounds = options.number("rounds", 5);
    long millis = 1000L * options.number("seconds", 60);
    Duration round = Duration.ofMillis(millis / rounds / 2);
    for (Target target : List.of(gateway, nginx)) {
      Result warmUp = target.load().run(Duration.ofMillis(millis / 8));
      if (warmUp.operations() == 0 || warmUp.wrong() > 0) {
        throw new IllegalStateException("wrong answers while warming up: " + warmUp.wrong());
      }
    }
    var ours = new Side("gateway", gateway.pids(), () -> gateway.load().run(round));
    var theirs = new Side("nginx, no check", nginx.pids(), () -> nginx.load().run(round));
    for (int i = 0; i < rounds; i++) {
      ours.round();
      theirs.round();
    }
    ours.print();
    theirs.print();
    ours.printRatio(theirs);
  }

  /** An access token by the ordinary way; it lives long enough for the whole run. */
  private static String token(IdentityIssuer issuer, int port, int gatewayPort)
      throws IOException, InterruptedException {
    String url = "http://127.0.0.1:" + port;
    String identity = issuer.token("subject-0", url);
    Buffer form =
        TokenRequests.exchange(List.of(identity), "http://127.0.0.1:" + gatewayPort + "/d/dest-0")
            .nextBody();
    try (HttpClient client = HttpClient.newHttpClient()) {
      var request =
          HttpRequest.newBuilder(URI.create(url + "/oauth2/token"))
              .header("Content-Type", "application/x-www-form-urlencoded")
              .POST(HttpRequest.BodyPublishers.ofString(form.toString()))
              .build();
      String answer = client.send(request, BodyHandlers.ofString()).body();
      String token = JsonMapper.shared().readTree(answer).path("access_token").stringValue("");
      if (token.isEmpty()) {
        throw new IllegalStateException("no token: " + answer);
      }
      return token;
    }
  }

  private record Get(String body, Map<String, String> headers) implements ClosedLoop.Exchange {

    @Override
    public Buffer nextBody() {
      return Buffer.buffer();
    }

    @Override
    public boolean isRight(int status, Buffer answer) {
      return status == 200 && answer.toString().equals(body);
    }
  }
}
