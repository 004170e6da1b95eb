package io.valetkey.broker;

import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/**
 * A real broker whose gateway speaks TLS as {@code localhost}, whose credentials are files, and
 * which may connect to upstreams of this machine that have certificates of {@link #authority}.
 */
final class BrokeredWorld implements AutoCloseable {

  static final TestIssuer ISSUER = new TestIssuer("ci");

  final TestAuthority authority = TestAuthority.create("brokered");
  final Path authorityPem;
  final String gatewayUrl;
  final RunningBroker broker;
  private final Path credentials;

  BrokeredWorld(Path folder) throws IOException {
    authorityPem = authority.writePem(folder);
    credentials = Files.createDirectory(folder.resolve("credentials"));
    TestCertificate certificate = authority.server("localhost");
    Path chain = Files.writeString(folder.resolve("gateway.crt"), certificate.certificatePem());
    Path key = Files.writeString(folder.resolve("gateway.key"), certificate.keyPem());
    int port = RunningBroker.freePort();
    gatewayUrl = "https://localhost:" + port;
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("valetkey.file-source.directory", credentials.toString());
    settings.put("valetkey.credential.ttl", "1s");
    settings.put("valetkey.gateway.port", "" + port);
    settings.put("valetkey.gateway.public-url", gatewayUrl);
    settings.put("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128");
    settings.put("valetkey.gateway.trusted-certificates", authorityPem.toString());
    settings.put("valetkey.gateway.ssl-bundle", "agents");
    settings.put("spring.ssl.bundle.pem.agents.keystore.certificate", chain.toString());
    settings.put("spring.ssl.bundle.pem.agents.keystore.private-key", key.toString());
    broker = RunningBroker.start(settings);
    new Policies(broker).issuer(ISSUER).agent("bot", "ci", "bot-subject", "");
  }

  void credential(String name, String content) throws IOException {
    Path file = Files.writeString(credentials.resolve(name), content);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  /** A destination with one scope and a grant of it for the agent {@code bot}. */
  void destination(String name, String spec, String... rules) throws Exception {
    new Policies(broker)
        .destination(name, spec)
        .scope(name, "work", "{\"allow\":[" + String.join(",", rules) + "]}")
        .grant("bot-" + name, "bot", name, List.of("work"))
        .await(broker);
  }

  static String rule(String method, String path) {
    return "{\"methods\":[\"%s\"],\"paths\":[\"%s\"]}".formatted(method, path);
  }

  /** An access token of the agent. */
  String token(String destination) throws Exception {
    var answer =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(broker.api("/oauth2/token"))
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .POST(
                        BodyPublishers.ofString(
                            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
                                + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt"
                                + "&subject_token="
                                + ISSUER.token("bot-subject", broker.url())
                                + "&audience="
                                + destination))
                    .build(),
                BodyHandlers.ofString());
    if (answer.statusCode() != 200) {
      throw new AssertionError(answer.body());
    }
    return JsonMapper.shared().readTree(answer.body()).required("access_token").asString();
  }

  /** Where a path of a destination is at the gateway. */
  URI at(String destination, String path) {
    return URI.create(gatewayUrl + "/d/" + destination + path);
  }

  HttpClient client() {
    return HttpClient.newBuilder().sslContext(authority.trust()).build();
  }

  @Override
  public void close() {
    broker.close();
  }
}
