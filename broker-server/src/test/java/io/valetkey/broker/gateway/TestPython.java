package io.valetkey.broker.gateway;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** A Python program of a test, which says on its output how far it is. */
final class TestPython {

  private static final Map<Process, BufferedReader> OUTPUTS = new ConcurrentHashMap<>();

  private TestPython() {}

  static Process start(Path python, String program, String... arguments) throws IOException {
    return start(python, Map.of(), program, arguments);
  }

  static Process start(
      Path python, Map<String, String> environment, String program, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>(List.of(python.toString(), "-c", program));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    return builder.start();
  }

  /** Reads on until a line begins so, and gives its rest. */
  static String await(Process process, String prefix) throws IOException {
    BufferedReader output =
        OUTPUTS.computeIfAbsent(process, p -> p.inputReader(StandardCharsets.UTF_8));
    StringBuilder seen = new StringBuilder();
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      if (line.startsWith(prefix)) {
        return line.substring(prefix.length());
      }
      seen.append(line).append('\n');
    }
    throw new IOException("it ended without " + prefix + ":\n" + seen);
  }
}
