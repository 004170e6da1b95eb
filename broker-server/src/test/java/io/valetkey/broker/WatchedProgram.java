package io.valetkey.broker;

import io.valetkey.realparts.ProcessMemory;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A program that has nothing but the environment it is given, that says on its output how far it
 * is, and into which a test can look while it runs.
 */
final class WatchedProgram implements AutoCloseable {

  private final Process process;
  private final BufferedReader output;
  private final Writer input;
  private final StringBuilder said = new StringBuilder();

  WatchedProgram(Path folder, Map<String, String> environment, String... command)
      throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.directory(folder.toFile());
    String path = builder.environment().get("PATH");
    builder.environment().clear();
    builder.environment().putAll(environment);
    builder.environment().put("PATH", path);
    builder.environment().put("HOME", folder.toString());
    process = builder.start();
    output = process.inputReader(StandardCharsets.UTF_8);
    input = process.outputWriter(StandardCharsets.UTF_8);
  }

  /**
   * Reads on until a line begins so, and gives its rest.
   *
   * @throws IOException with all that it said, if it ends without
   */
  String await(String prefix) throws IOException {
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      said.append(line).append('\n');
      if (line.startsWith(prefix)) {
        return line.substring(prefix.length()).strip();
      }
    }
    throw new IOException("it ended without " + prefix + ":\n" + said);
  }

  /** Lets a program go on that reads a line. */
  void goOn() throws IOException {
    input.write("\n");
    input.flush();
  }

  /** Whether a text is in its environment, its command line, its memory or what it said. */
  boolean holds(String text) throws IOException {
    return said.indexOf(text) >= 0 || ProcessMemory.holds(process.pid(), text);
  }

  /** Its exit code, once it has ended. */
  int end() throws Exception {
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      said.append(line).append('\n');
    }
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      throw new IOException("it does not end:\n" + said);
    }
    return process.exitValue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
