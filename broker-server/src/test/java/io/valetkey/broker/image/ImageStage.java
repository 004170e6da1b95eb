package io.valetkey.broker.image;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.image.ImageProcess.Start;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Everything around the image: a real PostgreSQL, an HTTPS upstream with a credential, an issuer of
 * identities; and the walk of an administrator and an agent through it.
 */
final class ImageStage implements AutoCloseable {

  static final String CREDENTIAL = "sk-real-of-the-image";

  private final HttpClient http = HttpClient.newHttpClient();
  private final TestIssuer issuer = new TestIssuer("ci");
  private final HttpsServer upstream;
  private final List<String> seen = new CopyOnWriteArrayList<>();
  private final Path tmp;
  private final Path secrets;
  private final Map<String, String> settings = new HashMap<>();
  final int api = RunningBroker.freePort();
  final int gateway = RunningBroker.freePort();

  ImageStage(Path folder) throws Exception {
    tmp = Files.createDirectory(folder.resolve("tmp"));
    Files.setPosixFilePermissions(tmp, PosixFilePermissions.fromString("rwxrwxrwx"));
    // JUnit's folder is for its owner alone; the image's user has to get through.
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    secrets = Files.createDirectory(folder.resolve("secrets"));
    Files.writeString(secrets.resolve("spring.datasource.password"), "postgres");
    Files.writeString(
        secrets.resolve("valetkey.admin.bootstrap-token"), RunningBroker.BOOTSTRAP_TOKEN);
    TestAuthority authority = TestAuthority.create("upstreams");
    Path authorities = authority.writePem(tmp);
    Files.setPosixFilePermissions(authorities, PosixFilePermissions.fromString("rw-r--r--"));
    Files.writeString(Files.createDirectory(tmp.resolve("credentials")).resolve("key"), CREDENTIAL);
    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    upstream.createContext("/", this::serve);
    upstream.start();
    settings.put(
        "SPRING_DATASOURCE_URL",
        "jdbc:postgresql://localhost:%d/%s"
            .formatted(RunningBroker.postgresPort(), RunningBroker.newDatabase()));
    settings.put("SPRING_DATASOURCE_USERNAME", "postgres");
    settings.put("SERVER_ADDRESS", "127.0.0.1");
    settings.put("SERVER_PORT", String.valueOf(api));
    settings.put("MANAGEMENT_SERVER_ADDRESS", "127.0.0.1");
    settings.put("VALETKEY_PUBLIC_URL", "http://127.0.0.1:" + api);
    settings.put("VALETKEY_GATEWAY_PUBLIC_URL", "http://127.0.0.1:" + gateway);
    settings.put("VALETKEY_GATEWAY_ADDRESS", "127.0.0.1");
    settings.put("VALETKEY_GATEWAY_PORT", String.valueOf(gateway));
    settings.put("VALETKEY_GATEWAY_PRIVATE_ORIGINS", "127.0.0.0/8,::1/128");
    settings.put("VALETKEY_GATEWAY_TRUSTED_CERTIFICATES", "/tmp/" + authorities.getFileName());
    settings.put("VALETKEY_FILE_SOURCE_DIRECTORY", "/tmp/credentials");
  }

  private void serve(HttpExchange exchange) throws IOException {
    seen.add(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
    byte[] answer = exchange.getRequestBody().readAllBytes();
    exchange.sendResponseHeaders(200, answer.length);
    exchange.getResponseBody().write(answer);
    exchange.close();
  }

  Path tmp() {
    return tmp;
  }

  Path secrets() {
    return secrets;
  }

  /** Starts the image in these roles. */
  ImageProcess start(ImageRoot image, String roles, Start how) throws IOException {
    int management = RunningBroker.freePort();
    Map<String, String> environment = new HashMap<>(settings);
    environment.put("VALETKEY_ROLES", roles);
    environment.put("MANAGEMENT_SERVER_PORT", String.valueOf(management));
    return ImageProcess.start(image, tmp, secrets, management, how, environment);
  }

  /** The administrator writes a policy. */
  void writePolicy() throws Exception {
    put("issuers/ci", issuer.spec());
    put("agents/bot", "{\"identities\":[{\"issuer\":\"ci\",\"subject\":\"bot-subject\"}]}");
    put(
        "destinations/echo",
        "{\"kind\":\"http\",\"origin\":\"https://localhost:%d\",\"credential\":{\"source\":\"file\",\"name\":\"key\"}}"
            .formatted(upstream.getAddress().getPort()));
    put(
        "destinations/echo/scopes/say",
        "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/say\"]}]}");
    put("grants/bot-echo", "{\"agent\":\"bot\",\"destination\":\"echo\",\"scopes\":[\"say\"]}");
  }

  /** The agent gets a token and sends a request with it, so often; then it is stopped. */
  void walk(int times) throws Exception {
    for (int i = 0; i < times; i++) {
      String token = token();
      HttpResponse<String> answer = say(token, "hello " + i);
      require(answer.statusCode() == 200, answer);
      require(answer.body().equals("hello " + i), answer);
      require(seen.getLast().equals("Bearer " + CREDENTIAL), seen.getLast());
    }
    admin("GET", "agents/bot/reach", "");
    String token = token();
    JsonNode stop = admin("POST", "stops", "{\"target\":{\"agent\":\"bot\"},\"reason\":\"walk\"}");
    String path = "stops/" + stop.required("id").asString();
    for (int i = 0; i < 200 && !admin("GET", path, "").required("acknowledged").asBoolean(); i++) {
      Thread.sleep(50);
    }
    HttpResponse<String> refused = say(token, "again");
    require(refused.statusCode() == 403 || refused.statusCode() == 401, refused);
    admin("DELETE", path, "{\"reason\":\"walked\"}");
    admin("GET", "audit?limit=20", "");
  }

  private String token() throws Exception {
    String form =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
            + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience=echo&subject_token="
            + URLEncoder.encode(
                issuer.token("bot-subject", "http://127.0.0.1:" + api), StandardCharsets.UTF_8);
    // A policy that was just written is known in a moment, not at once.
    for (int i = 0; i < 100; i++) {
      HttpResponse<String> answer =
          http.send(
              HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + api + "/oauth2/token"))
                  .header("Content-Type", "application/x-www-form-urlencoded")
                  .POST(BodyPublishers.ofString(form))
                  .build(),
              BodyHandlers.ofString());
      if (answer.statusCode() == 200) {
        return JsonMapper.shared().readTree(answer.body()).required("access_token").asString();
      }
      Thread.sleep(50);
    }
    throw new AssertionError("no token");
  }

  private HttpResponse<String> say(String token, String words) throws Exception {
    return http.send(
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + gateway + "/d/echo/say"))
            .header("Authorization", "Bearer " + token)
            .POST(BodyPublishers.ofString(words))
            .build(),
        BodyHandlers.ofString());
  }

  private void put(String path, String spec) throws Exception {
    admin("PUT", path, spec);
  }

  private JsonNode admin(String method, String path, String body) throws Exception {
    HttpResponse<String> answer =
        http.send(
            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + api + "/admin/v1/" + path))
                .header("Authorization", "Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
                .header("Content-Type", "application/json")
                .method(method, BodyPublishers.ofString(body))
                .build(),
            BodyHandlers.ofString());
    require(answer.statusCode() / 100 == 2, answer.body());
    return JsonMapper.shared().readTree(answer.body().isEmpty() ? "{}" : answer.body());
  }

  private static void require(boolean holds, Object otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }

  @Override
  public void close() {
    upstream.stop(0);
  }
}
