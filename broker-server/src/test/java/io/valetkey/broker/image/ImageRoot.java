package io.valetkey.broker.image;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The container image as {@code tools/build-image} left it, unpacked: its files and what its
 * configuration says. Layers are laid over each other in their order, as a container engine does.
 *
 * @param folder the root of its files
 * @param config its configuration (OCI image specification, "config")
 */
record ImageRoot(Path folder, JsonNode config) {

  static final Path TAR = Path.of("target", "valetkey-image.tar");

  static boolean isBuilt() {
    return Files.exists(TAR);
  }

  /** Only root may change the root of a process, and only then an image can be run here. */
  static boolean mayBeRun() {
    return "root".equals(System.getProperty("user.name"));
  }

  static ImageRoot unpack(Path into) throws Exception {
    Path parts = Files.createDirectory(into.resolve("parts"));
    Path root = Files.createDirectory(into.resolve("root"));
    run("tar", "-xf", TAR.toString(), "-C", parts.toString());
    JsonNode manifest = read(parts.resolve("manifest.json")).get(0);
    for (JsonNode layer : manifest.required("Layers")) {
      String file = parts.resolve(layer.asString()).toString();
      run("tar", "--warning=no-unknown-keyword", "-xpzf", file, "-C", root.toString());
    }
    // What an engine gives every container.
    Files.writeString(root.resolve("etc/hosts"), "127.0.0.1 localhost\n");
    Files.createDirectories(root.resolve("proc"));
    Files.createDirectories(root.resolve("dev"));
    return new ImageRoot(root, read(parts.resolve(manifest.required("Config").asString())));
  }

  private static JsonNode read(Path file) throws IOException {
    return JsonMapper.shared().readTree(Files.readString(file));
  }

  private static void run(String... command) throws Exception {
    int code = new ProcessBuilder(command).inheritIO().start().waitFor();
    if (code != 0) {
      throw new IllegalStateException(String.join(" ", command) + " failed");
    }
  }

  List<String> entrypoint() {
    return texts("Entrypoint");
  }

  List<String> environment() {
    return texts("Env");
  }

  String user() {
    return config.at("/config/User").asString();
  }

  private List<String> texts(String name) {
    List<String> texts = new ArrayList<>();
    config.at("/config/" + name).forEach(text -> texts.add(text.asString()));
    return texts;
  }

  /** Every file in it, as its processes see them. */
  List<String> files() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).map(f -> "/" + folder.relativize(f)).toList();
    }
  }
}
