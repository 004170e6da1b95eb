package io.valetkey.broker.proofs;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/** A collector of traces: what it got over the wire, decoded by OpenTelemetry's own definitions. */
final class OtlpReceiver implements AutoCloseable {

  private final HttpServer server;
  private final List<Span> spans = new CopyOnWriteArrayList<>();
  private final ByteArrayOutputStream raw = new ByteArrayOutputStream();

  OtlpReceiver() {
    try {
      server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    server.createContext("/v1/traces", this::receive);
    server.start();
  }

  private void receive(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    synchronized (raw) {
      raw.write(body);
    }
    for (var resource : ExportTraceServiceRequest.parseFrom(body).getResourceSpansList()) {
      resource.getScopeSpansList().forEach(scope -> spans.addAll(scope.getSpansList()));
    }
    exchange.sendResponseHeaders(200, -1);
    exchange.close();
  }

  String endpoint() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  /** The root span that carries this decision id, once it has come. */
  Span await(String decisionId) throws InterruptedException {
    for (int i = 0; i < 500; i++) {
      for (Span span : spans) {
        if (decisionId.equals(attributes(span).get("valetkey.decision_id"))) {
          return span;
        }
      }
      Thread.sleep(20);
    }
    throw new AssertionError("no trace of " + decisionId + " among " + spans.size() + " spans");
  }

  /** The names of the spans below this one, in the order in which they began. */
  List<String> stepsOf(Span root) {
    return spans.stream()
        .filter(span -> span.getParentSpanId().equals(root.getSpanId()))
        .sorted((a, b) -> Long.compare(a.getStartTimeUnixNano(), b.getStartTimeUnixNano()))
        .map(Span::getName)
        .toList();
  }

  List<Span> spans() {
    return List.copyOf(spans);
  }

  static Map<String, String> attributes(Span span) {
    Map<String, String> values = new HashMap<>();
    span.getAttributesList()
        .forEach(attribute ->
            values.put(
                attribute.getKey(),
                attribute.getValue().hasIntValue()
                    ? String.valueOf(attribute.getValue().getIntValue())
                    : attribute.getValue().getStringValue()));
    return values;
  }

  /** Every byte that came, as text. */
  String raw() {
    synchronized (raw) {
      return raw.toString(StandardCharsets.ISO_8859_1);
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
