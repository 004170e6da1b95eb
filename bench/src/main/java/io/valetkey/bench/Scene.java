package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.realparts.TestAuthority;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpClient.Version;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The gateway and its peers in front of one upstream, which speaks TLS 1.3: all of them send it the
 * same credential, over verified TLS and kept connections.
 */
final class Scene implements AutoCloseable {

  private static final String DESTINATION = "/d/dest-0";

  /**
   * What all of them have in common.
   *
   * @param leg how they are spoken to
   * @param http2Upstream whether they speak HTTP/2 to the upstream, those that can
   * @param streams whether answers have no end, so that nothing may be held back
   * @param credential what the upstream wants
   */
  record Setting(
      Certificates certificates,
      CallerLeg leg,
      boolean http2Upstream,
      boolean streams,
      int upstreamPort,
      String credential) {}

  /**
   * One of them.
   *
   * @param name for people
   * @param pids its process first, then what serves it
   * @param port where it listens
   * @param prefix what stands before the upstream's path
   */
  record Proxy(String name, List<Long> pids, int port, String prefix) {}

  private final List<AutoCloseable> running = new ArrayList<>();
  private final List<Proxy> proxies = new ArrayList<>();
  private AccessTokens tokens;

  /**
   * Starts all of them.
   *
   * @param shape the policy: its agents are the subjects for {@link #tokens}
   * @param settings further settings of the gateway
   * @throws IllegalStateException if one that is to verify tokens takes one that is not genuine
   */
  static Scene start(
      Path folder,
      BenchPostgres postgres,
      Setting setting,
      Set<Peer> peers,
      PolicySeed.Shape shape,
      Map<String, String> settings)
      throws Exception {
    var scene = new Scene(folder, postgres, setting, shape, settings);
    try {
      scene.requireRefusal(scene.proxies.getFirst(), setting);
      for (Peer peer : peers) {
        Proxy proxy = scene.add(peer, folder, setting);
        if (peer.verifies()) {
          scene.requireRefusal(proxy, setting);
        }
      }
      return scene;
    } catch (Exception e) {
      scene.close();
      throw e;
    }
  }

  private Scene(
      Path folder,
      BenchPostgres postgres,
      Setting setting,
      PolicySeed.Shape shape,
      Map<String, String> settings)
      throws Exception {
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("upstream"), setting.credential());
    var issuer = new IdentityIssuer(JWSAlgorithm.ES256);
    int gatewayPort = ServerProcess.freePort();
    String database = postgres.createMigrated("broker_" + gatewayPort);
    new PolicySeed(postgres, database)
        .write(
            issuer,
            shape,
            new PolicySeed.Upstream(
                "https://localhost:" + setting.upstreamPort(), setting.http2Upstream()));
    int port = ServerProcess.freePort();
    String url = setting.leg().scheme() + "://127.0.0.1:" + gatewayPort;
    Map<String, String> all = new HashMap<>();
    all.put("valetkey.file-source.directory", files.toString());
    all.put("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128");
    all.put("valetkey.gateway.trusted-certificates", setting.certificates().authority().toString());
    all.put("valetkey.gateway.public-url", url);
    if (setting.leg().isEncrypted()) {
      all.put("valetkey.gateway.ssl-bundle", "own");
      String store = "spring.ssl.bundle.pem.own.keystore.";
      all.put(store + "certificate", setting.certificates().certificate().toString());
      all.put(store + "private-key", setting.certificates().key().toString());
    }
    all.putAll(settings);
    ServerProcess broker = Servers.broker(folder, postgres, database, port, gatewayPort, all);
    running.add(broker);
    tokens = new AccessTokens(issuer, "http://127.0.0.1:" + port, url + DESTINATION);
    running.add(tokens);
    proxies.add(
        new Proxy("gateway", List.of(broker.pid(), postgres.pid()), gatewayPort, DESTINATION));
  }

  private Proxy add(Peer peer, Path folder, Setting setting) throws Exception {
    int port = ServerProcess.freePort();
    ServerProcess server =
        switch (peer) {
          case NGINX -> Nginx.proxy(folder, port, setting);
          case HAPROXY ->
              HaProxy.proxy(
                  folder,
                  port,
                  setting,
                  tokens.writeKey(tokens.token("subject-0"), folder.resolve("tokens.pem")),
                  tokens.resource());
          case SPRING ->
              Servers.gatewayPeer(folder, port, setting, tokens.keysUrl(), tokens.resource());
        };
    running.add(server);
    var proxy = new Proxy(peer.label(), List.of(server.pid()), port, "");
    proxies.add(proxy);
    return proxy;
  }

  /** One that takes a forged token is no peer, and its figures would mean nothing. */
  private void requireRefusal(Proxy proxy, Setting setting) throws Exception {
    String token = tokens.token("subject-0");
    int inSignature = token.lastIndexOf('.') + 10;
    String forged =
        token.substring(0, inSignature)
            + (token.charAt(inSignature) == 'A' ? 'B' : 'A')
            + token.substring(inSignature + 1);
    var uri =
        URI.create(
            "%s://127.0.0.1:%d%s/v1/models"
                .formatted(setting.leg().scheme(), proxy.port(), proxy.prefix()));
    try (HttpClient http = client(setting)) {
      var request = HttpRequest.newBuilder(uri).header("Authorization", "Bearer " + forged).build();
      int status = http.send(request, BodyHandlers.discarding()).statusCode();
      if (status != 401) {
        throw new IllegalStateException(
            "%s answers %d to a forged token".formatted(proxy.name(), status));
      }
    }
  }

  private static HttpClient client(Setting setting) {
    return HttpClient.newBuilder()
        .version(setting.leg() == CallerLeg.HTTP2 ? Version.HTTP_2 : Version.HTTP_1_1)
        .sslContext(TestAuthority.trusting(setting.certificates().authority()))
        .build();
  }

  /** The gateway first, then the peers. */
  List<Proxy> proxies() {
    return List.copyOf(proxies);
  }

  /** Tokens that the gateway takes, and so does each peer that looks at them. */
  AccessTokens tokens() {
    return tokens;
  }

  @Override
  public void close() {
    for (AutoCloseable server : running.reversed()) {
      try {
        server.close();
      } catch (Exception e) {
        System.err.println("did not end: " + e);
      }
    }
  }
}
