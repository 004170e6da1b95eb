package io.valetkey.broker.image;

import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A process of the image, run as a container engine would under the settings of PodSecurity
 * "restricted" with a read-only root: its own mounts, the image's files read-only, nothing writable
 * but {@code /tmp}, the image's user, no capability and no way to get one.
 */
final class ImageProcess implements AutoCloseable {

  private static final Duration START = Duration.ofSeconds(90);
  private static final String CACHE = "-XX:AOTCache=";

  /** Its arguments: root, folder for /tmp, folder of secrets, user and group, then the command. */
  private static final String CONTAIN =
      """
      set -e
      root=$1 tmp=$2 secrets=$3 user=$4
      shift 4
      mount --make-rprivate /
      mount --bind "$root" "$root"
      mount -o remount,bind,ro "$root"
      mount --bind "$tmp" "$root/tmp"
      mount --bind "$secrets" "$root/run/secrets/valetkey"
      mount -o remount,bind,ro "$root/run/secrets/valetkey"
      mount -t proc proc "$root/proc"
      mount --rbind /dev "$root/dev"
      exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"
      """;

  private final Process process;
  private final int management;
  private final Path log;
  private final long startedNanos = System.nanoTime();

  private ImageProcess(Process process, int management, Path log) {
    this.process = process;
    this.management = management;
    this.log = log;
  }

  /** How its Java is to be started. */
  enum Start {
    /** As the image says. */
    AS_IT_IS,
    /** The same, but a cache that cannot be used stops it. */
    ONLY_WITH_CACHE,
    /** Without the AOT cache. */
    WITHOUT_CACHE,
    /** Recording what an AOT cache is made of. */
    RECORDING;

    private List<String> arguments(String cache) {
      return switch (this) {
        case AS_IT_IS -> List.of(cache);
        case ONLY_WITH_CACHE -> List.of(cache, "-XX:AOTMode=on");
        case WITHOUT_CACHE -> List.of();
        case RECORDING ->
            List.of("-XX:AOTMode=record", "-XX:AOTConfiguration=/tmp/valetkey.aotconf");
      };
    }
  }

  /**
   * Starts one.
   *
   * @param tmp what it sees as {@code /tmp}
   * @param secrets what it sees as {@code /run/secrets/valetkey}
   * @param environment its settings, beside what the image sets
   */
  static ImageProcess start(
      ImageRoot image,
      Path tmp,
      Path secrets,
      int management,
      Start how,
      Map<String, String> environment)
      throws IOException {
    List<String> command = contained(image, tmp, secrets);
    for (String argument : image.entrypoint()) {
      command.addAll(argument.startsWith(CACHE) ? how.arguments(argument) : List.of(argument));
    }
    return start(
        image, command, management, Files.createTempFile(tmp, "image", ".log"), environment);
  }

  /** Runs Java of the image to its end, in the same confinement. */
  static void assemble(ImageRoot image, Path tmp, Path secrets) throws Exception {
    List<String> command = contained(image, tmp, secrets);
    for (String argument : image.entrypoint()) {
      if (argument.startsWith(CACHE)) {
        command.addAll(List.of("-XX:AOTMode=create", "-XX:AOTConfiguration=/tmp/valetkey.aotconf"));
        command.add("-XX:AOTCache=/tmp/valetkey.aot");
      } else {
        command.add(argument);
      }
    }
    Path log = Files.createTempFile(tmp, "assemble", ".log");
    ImageProcess assembly = start(image, command, 0, log, Map.of());
    if (assembly.process.waitFor() != 0) {
      throw new AssertionError("the AOT cache could not be made:\n" + assembly.log());
    }
  }

  private static List<String> contained(ImageRoot image, Path tmp, Path secrets) {
    List<String> command = new ArrayList<>(List.of("unshare", "--mount", "--pid", "--fork"));
    command.addAll(List.of("--kill-child", "sh", "-c", CONTAIN, "contain"));
    command.addAll(List.of(image.folder().toString(), tmp.toString(), secrets.toString()));
    command.add(image.user());
    return command;
  }

  private static ImageProcess start(
      ImageRoot image,
      List<String> command,
      int management,
      Path log,
      Map<String, String> environment)
      throws IOException {
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().clear();
    builder.environment().put("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    image
        .environment()
        .forEach(line -> {
          String[] parts = line.split("=", 2);
          builder.environment().put(parts[0], parts[1]);
        });
    builder.environment().putAll(environment);
    return new ImageProcess(builder.redirectOutput(log.toFile()).start(), management, log);
  }

  /** Waits until it is ready and says how long that took. */
  Duration awaitReady() throws Exception {
    while (!isReady()) {
      if (!process.isAlive() || System.nanoTime() - startedNanos > START.toNanos()) {
        String said = log();
        close();
        throw new AssertionError("the image did not start:\n" + said);
      }
      Thread.sleep(10);
    }
    return Duration.ofNanos(System.nanoTime() - startedNanos);
  }

  private boolean isReady() {
    try {
      URI uri = URI.create("http://127.0.0.1:" + management + "/actuator/health/readiness");
      var connection = (HttpURLConnection) uri.toURL().openConnection();
      connection.setReadTimeout(2000);
      return connection.getResponseCode() == 200;
    } catch (IOException e) {
      return false;
    }
  }

  /** The broker itself, as this machine sees it. */
  ProcessHandle java() {
    return process
        .descendants()
        .filter(child -> child.info().command().orElse("").endsWith("/bin/java"))
        .findFirst()
        .orElseThrow();
  }

  String log() throws IOException {
    return Files.readString(log);
  }

  /** Ends it as an engine does: SIGTERM to its first process. */
  void terminate() throws Exception {
    java().destroy();
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      throw new AssertionError("it did not end:\n" + log());
    }
  }

  @Override
  public void close() {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }
}
