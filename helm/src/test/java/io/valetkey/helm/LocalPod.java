package io.valetkey.helm;

import static io.valetkey.helm.Rendered.each;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;

/**
 * What a kubelet would make of the container of a rendered pod, as a process of this machine: its
 * variables, and its ConfigMaps and Secrets as files. Paths of mounts become paths below a folder.
 */
final class LocalPod implements AutoCloseable {

  private final Process process;
  private final Path log;

  private LocalPod(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  /**
   * Starts the broker as the pod's only container would.
   *
   * @param secrets contents of Secrets, by name and key
   */
  static LocalPod start(
      Rendered chart, JsonNode pod, Map<String, Map<String, String>> secrets, Path folder) {
    Map<String, String> paths = new LinkedHashMap<>();
    JsonNode container = pod.at("/containers/0");
    for (JsonNode mount : container.at("/volumeMounts")) {
      paths.put(
          mount.at("/mountPath").asString(),
          folder.resolve(mount.at("/name").asString()).toString());
    }
    for (JsonNode volume : pod.at("/volumes")) {
      write(chart, volume, secrets, folder.resolve(volume.at("/name").asString()), paths);
    }
    Path log = folder.resolve("log");
    var builder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "io.valetkey.broker.BrokerApplication")
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    for (JsonNode variable : container.at("/env")) {
      builder
          .environment()
          .put(variable.at("/name").asString(), moved(variable.at("/value").asString(), paths));
    }
    try {
      return new LocalPod(builder.start(), log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(
      Rendered chart,
      JsonNode volume,
      Map<String, Map<String, String>> secrets,
      Path folder,
      Map<String, String> paths) {
    Map<String, String> files = new LinkedHashMap<>();
    JsonNode configMap = volume.at("/configMap/name");
    if (configMap.isString()) {
      chart
          .one("ConfigMap", configMap.asString())
          .at("/data")
          .properties()
          .forEach(e -> files.put(e.getKey(), moved(e.getValue().asString(), paths)));
    }
    JsonNode whole = volume.at("/secret/secretName");
    if (whole.isString()) {
      files.putAll(secrets.get(whole.asString()));
    }
    each(volume.at("/projected/sources"))
        .map(source -> source.at("/secret"))
        .forEach(secret ->
            each(secret.at("/items"))
                .forEach(item ->
                    files.put(
                        item.at("/path").asString(),
                        secrets
                            .get(secret.at("/name").asString())
                            .get(item.at("/key").asString()))));
    try {
      Files.createDirectories(folder);
      for (Map.Entry<String, String> file : files.entrySet()) {
        Files.writeString(folder.resolve(file.getKey()), file.getValue());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String moved(String text, Map<String, String> paths) {
    String moved = text;
    for (Map.Entry<String, String> path : paths.entrySet()) {
      moved = moved.replace(path.getKey(), path.getValue());
    }
    return moved;
  }

  /** Its code, when it has ended by itself. */
  int await() {
    try {
      if (!process.waitFor(90, TimeUnit.SECONDS)) {
        throw new AssertionError("it does not end:\n" + log());
      }
      return process.exitValue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  boolean isAlive() {
    return process.isAlive();
  }

  String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    await();
  }
}
