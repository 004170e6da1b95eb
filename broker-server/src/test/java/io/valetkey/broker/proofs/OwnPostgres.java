package io.valetkey.broker.proofs;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.springframework.util.FileSystemUtils;

/** A database server that belongs to one test, which may freeze, crash and restart it. */
final class OwnPostgres implements AutoCloseable {

  private final Path data;
  private EmbeddedPostgres server;

  OwnPostgres() {
    try {
      this.data = Files.createTempDirectory("own-postgres").resolve("data");
      Files.createDirectory(data);
      this.server = builder(0).start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private EmbeddedPostgres.Builder builder(int port) {
    EmbeddedPostgres.Builder builder =
        EmbeddedPostgres.builder()
            .setDataDirectory(data.toFile())
            .setCleanDataDirectory(false)
            // As PostgreSQL comes; the library would switch it off.
            .setServerConfig("synchronous_commit", "on")
            // So that a crash forgets whatever was not waited for.
            .setServerConfig("wal_writer_delay", "10s")
            .setServerConfig("max_connections", "100");
    return port == 0 ? builder : builder.setPort(port);
  }

  String url() {
    return server.getJdbcUrl("postgres", "postgres");
  }

  /** What makes a broker use this server. */
  Map<String, String> settings() {
    return Map.of(
        "spring.datasource.url", url(), "valetkey.issuance.tokens-per-minute", "10000000");
  }

  /** Every process of this server keeps its connections and answers nothing. */
  void freeze() {
    signal("STOP");
  }

  void thaw() {
    signal("CONT");
  }

  /** Every process of this server dies at once, as when its machine loses power. */
  void crash() {
    signal("KILL");
  }

  /** Starts it again on the same port, with what was on disk. */
  void restart() {
    int port = server.getPort();
    try {
      server.close();
      server = builder(port).start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void signal(String signal) {
    List<String> command = new ArrayList<>(List.of("kill", "-" + signal));
    try {
      long postmaster = Long.parseLong(Files.readAllLines(data.resolve("postmaster.pid")).get(0));
      command.add(Long.toString(postmaster));
      ProcessHandle.of(postmaster)
          .orElseThrow()
          .descendants()
          .forEach(child -> command.add(Long.toString(child.pid())));
      // A child that ended meanwhile makes kill say so and signal the others all the same.
      new ProcessBuilder(command).redirectErrorStream(true).start().waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() throws IOException {
    thaw();
    server.close();
    FileSystemUtils.deleteRecursively(data.getParent());
  }
}
