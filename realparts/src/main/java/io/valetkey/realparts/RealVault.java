package io.valetkey.realparts;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * A real Vault or OpenBao in development mode: in memory, unsealed, on a loopback port, with a key
 * value engine (version 2) at {@code secret/}. It ends with this JVM at the latest.
 */
public final class RealVault implements AutoCloseable {

  private final VaultProgram program;
  private final Path folder;
  private final String container = "valetkey-vault-" + random();
  private final String rootToken;
  private final URI uri;
  private final @Nullable Path caCertificate;
  private final JsonApi api;
  private @Nullable ChildProcess process;

  private RealVault(VaultProgram program, boolean tls) {
    this.program = program;
    this.folder = temporaryFolder();
    boolean running = program instanceof VaultProgram.Running;
    this.rootToken = running ? environment(VaultProgram.TOKEN) : "root-" + random();
    this.uri =
        program instanceof VaultProgram.Running(URI address)
            ? address
            : URI.create((tls ? "https" : "http") + "://127.0.0.1:" + ChildProcess.freePort());
    this.caCertificate = tls ? folder.resolve("vault-ca.pem") : null;
    this.process = running ? null : launch();
    this.api = new JsonApi(uri, trust(caCertificate), Map.of("X-Vault-Token", rootToken));
    awaitReady();
  }

  /**
   * Starts one, or uses the configured one; builds the program if there is no other way.
   *
   * @throws MissingPartException if none can be had on this machine
   */
  public static RealVault start() {
    return new RealVault(VaultProgram.find(), false);
  }

  /**
   * Starts one that nobody else uses, so that it can be frozen, stopped and restarted.
   *
   * @throws MissingPartException if none can be had on this machine
   */
  public static RealVault startOwn() {
    return new RealVault(VaultProgram.findOwn(), false);
  }

  /**
   * Starts one that speaks TLS, with an authority of its own.
   *
   * @throws MissingPartException if there is no program for it on this machine
   */
  public static RealVault startWithTls() {
    VaultProgram program = VaultProgram.findOwn();
    return new RealVault(
        program instanceof VaultProgram.Executable
            ? program
            : new VaultProgram.Executable(Program.VAULT.built()),
        true);
  }

  /** Starts one if that needs no build: for the quick start. */
  public static Optional<RealVault> startIfAtOnce() {
    return VaultProgram.atOnce().map(found -> new RealVault(found, false));
  }

  /** Its address. */
  public URI uri() {
    return uri;
  }

  /** A token that may do everything. */
  public String rootToken() {
    return rootToken;
  }

  /** PEM of the authority of a Vault with TLS. */
  public Path caCertificate() {
    if (caCertificate == null) {
      throw new IllegalStateException("this Vault has no TLS");
    }
    return caCertificate;
  }

  /** Mounts another key value engine, version 2. */
  public void enableKv(String mount) {
    send("POST", "sys/mounts/" + mount, Map.of("type", "kv", "options", Map.of("version", "2")));
  }

  /** Writes a secret's next version. */
  public void put(String mount, String path, Map<String, ?> fields) {
    send("POST", mount + "/data/" + path, Map.of("data", fields));
  }

  /** Deletes a secret with all of its versions. */
  public void delete(String mount, String path) {
    send("DELETE", mount + "/metadata/" + path, null);
  }

  /** Writes a policy in Vault's own language. */
  public void policy(String name, String rules) {
    send("PUT", "sys/policies/acl/" + name, Map.of("policy", rules));
  }

  /**
   * Writes a policy that may read the secrets below a path of {@code secret/}, and nothing else.
   */
  public void readPolicy(String name, String path) {
    policy(name, "path \"secret/data/" + path + "/*\" { capabilities = [\"read\"] }");
  }

  /** Enables a login method at the mount of its own name. */
  public void enableAuth(String type) {
    send("POST", "sys/auth/" + type, Map.of("type", type));
  }

  /** A new token with one policy beside {@code default}. */
  public String createToken(String policy, Duration ttl) {
    return send(
            "POST",
            "auth/token/create-orphan",
            Map.of("policies", List.of(policy), "ttl", ttl.toSeconds() + "s"))
        .at("/auth/client_token")
        .asString();
  }

  /**
   * Revokes every token and lease that was made through a login method, for example {@code jwt}.
   */
  public void revokeLogins(String method) {
    send("PUT", "sys/leases/revoke-prefix/auth/" + method + "/login", null);
  }

  /** Revokes one token. */
  public void revokeToken(String token) {
    send("POST", "auth/token/revoke", Map.of("token", token));
  }

  /**
   * Any other call with the root token.
   *
   * @param path below {@code /v1/}
   * @param body turned into JSON; none if null
   */
  public JsonNode send(String method, String path, @Nullable Object body) {
    return api.send(method, "/v1/" + path, body);
  }

  /** Freezes it: connections stay open and nothing is answered. */
  public void freeze() {
    if (program instanceof VaultProgram.Image(Path docker, String _)) {
      ChildProcess.run(docker.toString(), "pause", container);
    } else {
      own().freeze();
    }
  }

  /** Lets it go on. */
  public void thaw() {
    if (program instanceof VaultProgram.Image(Path docker, String _)) {
      ChildProcess.run(docker.toString(), "unpause", container);
    } else {
      own().thaw();
    }
  }

  /** Seals it: it answers that it is sealed, and nothing else. */
  public void seal() {
    send("PUT", "sys/seal", null);
  }

  /** Unseals one that we started, with the key that it printed when it started. */
  public void unseal() {
    Pattern key = Pattern.compile("Unseal Key: (\\S+)");
    try (Stream<String> lines = Files.lines(folder.resolve("vault.log"))) {
      String found =
          lines
              .map(key::matcher)
              .filter(Matcher::find)
              .map(match -> match.group(1))
              .findFirst()
              .orElseThrow(() -> new IllegalStateException("this Vault printed no unseal key"));
      send("PUT", "sys/unseal", Map.of("key", found));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Ends it and starts an empty one at the same address, with the same root token. */
  public void restart() {
    stop();
    process = launch();
    awaitReady();
  }

  /** Ends it at once; {@link #restart()} may follow. */
  public void stop() {
    own().close();
  }

  @Override
  public void close() {
    api.close();
    if (process != null) {
      process.close();
    }
    ChildProcess.deleteFolder(folder);
  }

  private ChildProcess own() {
    if (process == null) {
      throw new IllegalStateException("this Vault was not started by us");
    }
    return process;
  }

  private ChildProcess launch() {
    // By the environment of the child: arguments can be read by everyone on the machine.
    return ChildProcess.start(
        "vault",
        folder,
        Map.of("VAULT_DEV_ROOT_TOKEN_ID", rootToken, "BAO_DEV_ROOT_TOKEN_ID", rootToken),
        command());
  }

  private List<String> command() {
    return switch (program) {
      case VaultProgram.Executable(Path path) -> {
        List<String> command =
            new ArrayList<>(
                List.of(
                    path.toString(),
                    "server",
                    "-dev",
                    "-dev-no-store-token",
                    "-dev-listen-address=" + uri.getAuthority()));
        if (caCertificate != null) {
          command.addAll(List.of("-dev-tls", "-dev-tls-cert-dir=" + folder));
        }
        yield command;
      }
      case VaultProgram.Image(Path docker, String image) ->
          List.of(
              docker.toString(),
              "run",
              "--rm",
              "--init",
              "--name=" + container,
              "--publish=127.0.0.1:" + uri.getPort() + ":8200",
              "--env=VAULT_DEV_ROOT_TOKEN_ID",
              "--env=VAULT_DEV_LISTEN_ADDRESS=0.0.0.0:8200",
              image,
              "server",
              "-dev");
      case VaultProgram.Running(URI address) ->
          throw new IllegalStateException(address + " runs already");
    };
  }

  private void awaitReady() {
    if (process != null) {
      process.awaitReady(Duration.ofSeconds(60), () -> api.isUp("/v1/secret/config"));
    }
  }

  private static @Nullable SSLContext trust(@Nullable Path authority) {
    if (authority == null) {
      return null;
    }
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!Files.exists(authority) && System.nanoTime() < end) {
      ChildProcess.pause(50);
    }
    ChildProcess.pause(100); // It is written in one go, but not moved into place.
    return TestAuthority.trusting(authority);
  }

  private static String environment(String name) {
    String value = System.getenv(name);
    if (value == null) {
      throw new MissingPartException(name + " is not set beside " + VaultProgram.ADDRESS);
    }
    return value;
  }

  static String random() {
    byte[] bytes = new byte[16];
    new SecureRandom().nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  static Path temporaryFolder() {
    try {
      return Files.createTempDirectory("valetkey-real-");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
