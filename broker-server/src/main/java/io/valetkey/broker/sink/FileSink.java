package io.valetkey.broker.sink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * Appends one line of JSON for each event and waits until it is on disk. The file is opened for
 * each batch, so it may be moved away at any time.
 */
public final class FileSink implements Sink {

  private final Path file;

  /** Appends to this file, which it makes if it is not there. */
  public FileSink(Path file) {
    this.file = file;
  }

  @Override
  public String name() {
    return "file";
  }

  @Override
  public void deliver(String batch, List<Event> events) throws IOException {
    StringBuilder lines = new StringBuilder();
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.READ)) {
      long end = channel.size();
      if (end > 0 && !endsWithALine(channel, end)) {
        lines.append('\n');
      }
      events.forEach(event -> lines.append(event.json()).append('\n'));
      ByteBuffer bytes = ByteBuffer.wrap(lines.toString().getBytes(StandardCharsets.UTF_8));
      long at = end;
      while (bytes.hasRemaining()) {
        at += channel.write(bytes, at);
      }
      channel.force(true);
    }
  }

  /** Whoever died while writing left half a line behind. */
  private static boolean endsWithALine(FileChannel channel, long end) throws IOException {
    ByteBuffer last = ByteBuffer.allocate(1);
    channel.read(last, end - 1);
    return last.get(0) == '\n';
  }
}
