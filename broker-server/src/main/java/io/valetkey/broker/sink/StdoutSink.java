package io.valetkey.broker.sink;

import java.io.IOException;
import java.io.PrintStream;
import java.util.List;

/** One line of JSON for each event on standard output. */
public final class StdoutSink implements Sink {

  private final PrintStream out;

  /** Writes to this stream. */
  public StdoutSink(PrintStream out) {
    this.out = out;
  }

  @Override
  public String name() {
    return "stdout";
  }

  @Override
  public void deliver(String batch, List<Event> events) throws IOException {
    for (Event event : events) {
      out.print(event.json() + "\n");
    }
    if (out.checkError()) {
      throw new IOException("standard output is closed");
    }
  }
}
