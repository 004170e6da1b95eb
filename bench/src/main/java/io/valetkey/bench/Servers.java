package io.valetkey.bench;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Starts the servers that are compared, each in a process of its own with the same heap. */
final class Servers {

  /** Found from the root of the sources and from the module, whichever is the working directory. */
  private static final List<Path> BROKER =
      List.of(
          Path.of("broker-server/target/broker-server.jar"),
          Path.of("../broker-server/target/broker-server.jar"));

  /** What no peer would have on its class path, and what would only slow it down. */
  private static final String NO_PEERS =
      "/broker(-client)?\\.jar|/broker-(server|client)/|actuator|flyway|micrometer-registry"
          + "|spring-boot-health|micrometer-metrics|springdoc|swagger|spring-vault|jmh|webjars"
          + "|spring-boot-micrometer";

  private static final Pattern NOT_THE_AUTHORIZATION_SERVERS =
      Pattern.compile(".*(" + NO_PEERS + "|spring-cloud|webflux|reactor).*");
  private static final Pattern NOT_THE_GATEWAYS =
      Pattern.compile(
          ".*("
              + NO_PEERS
              + "|webmvc|servlet|tomcat|authorization-server|jdbc|postgres|vertx|function-context"
              + ").*");

  private static final String LAUNCHER = "org.springframework.boot.loader.launch.JarLauncher";
  private static final Duration START = Duration.ofSeconds(90);
  private static final List<String> JVM =
      List.of("-Xmx512m", "-Xms512m", "--enable-native-access=ALL-UNNAMED");

  private Servers() {}

  /** Whether the runnable jar has been built. */
  static boolean brokerIsBuilt() {
    return BROKER.stream().anyMatch(Files::exists);
  }

  /**
   * Starts the broker on a migrated database.
   *
   * @param settings further settings, by name
   */
  static ServerProcess broker(
      Path folder,
      BenchPostgres postgres,
      String database,
      int port,
      int gatewayPort,
      Map<String, String> settings)
      throws IOException {
    Map<String, String> all = new LinkedHashMap<>();
    all.put("spring.datasource.url", postgres.url(database));
    all.put("server.port", String.valueOf(port));
    all.put("valetkey.public-url", "http://127.0.0.1:" + port);
    all.put("valetkey.gateway.public-url", "http://127.0.0.1:" + gatewayPort);
    all.put("valetkey.gateway.port", String.valueOf(gatewayPort));
    all.putAll(settings);
    return replica("broker", folder, port, all);
  }

  /**
   * Starts a broker that is told everything about itself.
   *
   * @param port the port that tells that it has started
   * @param settings at least its database, names and ports
   */
  static ServerProcess replica(String name, Path folder, int port, Map<String, String> settings)
      throws IOException {
    Path jar = BROKER.stream().filter(Files::exists).findFirst().orElseThrow();
    List<String> command = new ArrayList<>(List.of(ServerProcess.java()));
    command.addAll(JVM);
    String profiled = System.getProperty("bench.broker.jvm", "");
    command.addAll(Arrays.stream(profiled.split(" ")).filter(s -> !s.isEmpty()).toList());
    command.addAll(List.of("-cp", withAcceleration(jar), LAUNCHER));
    Map<String, String> all = new LinkedHashMap<>();
    all.put("spring.datasource.username", "postgres");
    all.put("spring.datasource.password", "postgres");
    all.put("server.address", "127.0.0.1");
    all.put("management.server.port", String.valueOf(ServerProcess.freePort()));
    all.put("management.server.address", "127.0.0.1");
    all.put("valetkey.gateway.address", "127.0.0.1");
    all.put("valetkey.issuance.tokens-per-minute", "10000000");
    all.putAll(settings);
    all.forEach((setting, value) -> command.add("--" + setting + "=" + value));
    return ServerProcess.start(name, folder, port, START, command);
  }

  /** Starts the Spring Authorization Server on an empty database. */
  static ServerProcess peer(
      Path folder, BenchPostgres postgres, String database, int port, int clients, String jwksUrl)
      throws IOException {
    List<String> command = new ArrayList<>(List.of(ServerProcess.java()));
    command.addAll(JVM);
    command.addAll(
        List.of(
            "-cp",
            classPathWithout(NOT_THE_AUTHORIZATION_SERVERS),
            "io.valetkey.bench.peer.AuthorizationServer"));
    command.addAll(database(postgres, database));
    command.addAll(
        List.of(
            "--spring.config.name=peer",
            "--spring.main.banner-mode=off",
            "--spring.threads.virtual.enabled=true",
            "--server.port=" + port,
            "--server.address=127.0.0.1",
            "--peer.issuer=http://127.0.0.1:" + port,
            "--peer.clients=" + clients,
            "--peer.jwks-url=" + jwksUrl));
    return ServerProcess.start("peer", folder, port, START, command);
  }

  /**
   * Starts Spring Cloud Gateway.
   *
   * @param keysUrl where the keys of the tokens are
   * @param audience the only one that a token may have
   */
  static ServerProcess gatewayPeer(
      Path folder, int port, Scene.Setting setting, String keysUrl, String audience)
      throws IOException {
    List<String> command = new ArrayList<>(List.of(ServerProcess.java()));
    command.addAll(JVM);
    command.addAll(
        List.of(
            "-cp", classPathWithout(NOT_THE_GATEWAYS), "io.valetkey.bench.peer.ResourceGateway"));
    command.addAll(
        List.of(
            "--spring.config.name=peer",
            "--spring.main.banner-mode=off",
            "--spring.main.web-application-type=reactive",
            "--spring.cloud.compatibility-verifier.enabled=false",
            "--spring.cloud.gateway.server.webflux.httpclient.ssl.trusted-x509-certificates=file:"
                + setting.certificates().authority(),
            "--server.port=" + port,
            "--server.address=127.0.0.1",
            "--peer.upstream=https://localhost:" + setting.upstreamPort(),
            "--peer.authorization=Bearer " + setting.credential(),
            "--peer.audience=" + audience,
            "--peer.keys-url=" + keysUrl));
    if (setting.leg().isEncrypted()) {
      command.addAll(
          List.of(
              "--server.ssl.certificate=file:" + setting.certificates().certificate(),
              "--server.ssl.certificate-private-key=file:" + setting.certificates().key(),
              "--server.http2.enabled=" + (setting.leg() == CallerLeg.HTTP2)));
    }
    return ServerProcess.start("spring-gateway", folder, port, START, command);
  }

  /**
   * The optional provider beside the jar, so that it is there whether or not the jar carries it.
   */
  private static String withAcceleration(Path jar) {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> entry.contains("AmazonCorrettoCryptoProvider"))
        .map(entry -> jar + File.pathSeparator + entry)
        .findFirst()
        .orElse(jar.toString());
  }

  private static List<String> database(BenchPostgres postgres, String database) {
    return List.of(
        "--spring.datasource.url=" + postgres.url(database),
        "--spring.datasource.username=postgres",
        "--spring.datasource.password=postgres");
  }

  private static String classPathWithout(Pattern unwanted) {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> !unwanted.matcher(entry).matches())
        .collect(Collectors.joining(File.pathSeparator));
  }
}
