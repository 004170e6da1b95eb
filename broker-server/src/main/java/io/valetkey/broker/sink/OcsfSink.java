package io.valetkey.broker.sink;

import java.io.IOException;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;

/** Hands events to another sink in the form of OCSF; the rest of it stays as it is. */
public final class OcsfSink implements Sink {

  private static final JsonMapper JSON = JsonMapper.shared();

  private final Sink sink;

  /** Hands them to this sink. */
  public OcsfSink(Sink sink) {
    this.sink = sink;
  }

  @Override
  public String name() {
    return sink.name();
  }

  @Override
  public void deliver(String batch, List<Event> events) throws IOException, InterruptedException {
    sink.deliver(batch, events.stream().map(OcsfSink::mapped).toList());
  }

  private static Event mapped(Event event) {
    String json = JSON.writeValueAsString(OcsfMapping.map(JSON.readTree(event.json())));
    return new Event(event.id(), event.time(), json, event.severity());
  }
}
