package io.valetkey.broker.proofs;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.realparts.TestAuthority;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

/** A destination with TLS that says which header fields it got. */
final class EchoUpstream implements AutoCloseable {

  static final String CREDENTIAL = "canary-credential-of-the-echo-4711";

  final List<Map<String, List<String>>> saw = new CopyOnWriteArrayList<>();
  private final HttpsServer server;
  private final Path folder;
  private final TestAuthority authority;

  EchoUpstream(Path folder) throws Exception {
    this.folder = folder;
    this.authority = TestAuthority.create("upstream");
    server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost", "127.0.0.1").serverContext()));
    server.createContext(
        "/",
        exchange -> {
          saw.add(Map.copyOf(exchange.getRequestHeaders()));
          byte[] body = "answered".getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(200, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    server.start();
    Files.writeString(Files.createDirectory(folder.resolve("secrets")).resolve("key"), CREDENTIAL);
  }

  /** What makes a broker able to reach it. */
  Map<String, String> settings(String... more) {
    Map<String, String> settings = new HashMap<>();
    settings.put("valetkey.file-source.directory", folder.resolve("secrets").toString());
    settings.put("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128");
    settings.put("valetkey.gateway.trusted-certificates", authority.writePem(folder).toString());
    for (int i = 0; i < more.length; i += 2) {
      settings.put(more[i], more[i + 1]);
    }
    return settings;
  }

  /** It as a destination. */
  String destination() {
    return Tokens.DESTINATION
        .formatted("x")
        .replace("api.x.test", "localhost:" + server.getAddress().getPort());
  }

  static HttpResponse<String> use(HttpClient client, String url, String token, String... fields)
      throws Exception {
    var request =
        HttpRequest.newBuilder(java.net.URI.create(url)).header("Authorization", "Bearer " + token);
    for (int i = 0; i < fields.length; i += 2) {
      request.header(fields[i], fields[i + 1]);
    }
    return client.send(request.build(), BodyHandlers.ofString());
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
