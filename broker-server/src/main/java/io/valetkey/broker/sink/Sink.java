package io.valetkey.broker.sink;

import java.io.IOException;
import java.util.List;

/** Takes events to one place outside. Belongs to one thread. */
public interface Sink {

  /**
   * One event.
   *
   * @param json the event as one line of JSON
   * @param severity of RFC 5424: 6 for what was granted and for checkpoints, 4 for what was not
   */
  record Event(String id, String time, String json, int severity) {}

  /** The name in settings, metrics and the database. */
  String name();

  /**
   * Delivers events in this order.
   *
   * @param batch an id of these events as a whole
   * @throws IOException if it is not certain that all were taken: they will be sent again
   */
  void deliver(String batch, List<Event> events) throws IOException, InterruptedException;
}
