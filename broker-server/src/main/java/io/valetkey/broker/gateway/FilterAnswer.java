package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpServerResponse;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.zip.DataFormatException;
import org.jspecify.annotations.Nullable;

/**
 * Streams an upstream's answer to the caller, chunk by chunk: without cookies and credentials, with
 * the upstream's own address replaced by ours and the injected value masked. A gzip answer, which
 * nobody asked for, is unpacked to be read; any other coding is refused, because it could hide the
 * credential.
 */
final class FilterAnswer {

  private final Conversation conversation;
  private final Admission.Admitted admitted;
  private final GatewaySettings settings;
  private final HttpServerResponse out;
  private final Scrubber scrubber;
  private final Scrubber.Stream body;
  private @Nullable GzipBody gzip;

  FilterAnswer(
      Conversation conversation,
      Admission.Admitted admitted,
      Scrubber scrubber,
      GatewaySettings settings) {
    this.conversation = conversation;
    this.admitted = admitted;
    this.settings = settings;
    this.out = conversation.response();
    this.scrubber = scrubber;
    this.body = scrubber.stream();
  }

  /**
   * Starts.
   *
   * @param uploaded whether the whole request has been sent; if the answer ends before that, the
   *     connections are not used again
   */
  void start(HttpClientResponse response, BooleanSupplier uploaded) {
    Fields received = new Fields();
    response.headers().forEach((name, value) -> received.add(name, value));
    if (!isReadable(response, received)) {
      conversation.fail(
          ProblemCode.UPSTREAM_BROKEN, "the answer has a form that the gateway cannot read");
      return;
    }
    if (!conversation.mayPassOn()) {
      return;
    }
    writeHead(response, received);
    conversation.expect(settings.idleTimeout(), ProblemCode.UPSTREAM_TIMEOUT);
    response.exceptionHandler(
        e -> conversation.fail(ProblemCode.UPSTREAM_BROKEN, "the answer broke off"));
    response.endHandler(v -> end(uploaded));
    response.handler(chunk -> chunk(response, chunk));
  }

  private boolean isReadable(HttpClientResponse response, Fields received) {
    List<String> codings = received.members("content-encoding");
    boolean gzipped = codings.equals(List.of("gzip")) || codings.equals(List.of("x-gzip"));
    if (gzipped && hasBody(response)) {
      gzip = new GzipBody();
    }
    boolean plain = codings.isEmpty() || codings.equals(List.of("identity"));
    // 101 would be a tunnel that nobody asked for.
    return response.statusCode() >= 200 && (plain || gzipped || !hasBody(response));
  }

  private void writeHead(HttpClientResponse response, Fields received) {
    Destination target = admitted.destination();
    String ours = settings.publicUrl() + "/d/" + target.name();
    Fields filtered =
        new OwnAddress(ours, target.host(), target.port())
            .rewrite(HeaderRules.forCaller(received, target.slot().header()));
    Set<String> changed =
        gzip == null
            ? Set.of()
            : Set.of("content-length", "content-encoding", "content-md5", "digest");
    filtered.removeIf(changed::contains);
    conversation.answering();
    out.setStatusCode(response.statusCode());
    out.setStatusMessage(scrubber.scrub(response.statusMessage()));
    for (Fields.Field field : filtered.list()) {
      out.headers().add(scrubber.scrub(field.name()), scrubber.scrub(field.value()));
    }
    if (hasBody(response) && !filtered.has("content-length")) {
      out.setChunked(true);
    }
  }

  private boolean hasBody(HttpClientResponse response) {
    int status = response.statusCode();
    return !conversation.request().method().name().toUpperCase(Locale.ROOT).equals("HEAD")
        && status != 204
        && status != 304;
  }

  private void chunk(HttpClientResponse response, Buffer chunk) {
    if (!conversation.mayPassOn()) {
      return;
    }
    conversation.expect(settings.idleTimeout(), ProblemCode.UPSTREAM_TIMEOUT);
    try {
      byte[] bytes = chunk.getBytes();
      write(body.feed(gzip == null ? bytes : gzip.unpack(bytes)));
    } catch (DataFormatException e) {
      conversation.fail(ProblemCode.UPSTREAM_BROKEN, "the answer is not the gzip it says it is");
      return;
    }
    if (out.writeQueueFull()) {
      response.pause();
      out.drainHandler(v -> response.resume());
    }
  }

  private void end(BooleanSupplier uploaded) {
    if (!conversation.mayPassOn()) {
      return;
    }
    if (gzip != null && !gzip.isComplete()) {
      conversation.fail(ProblemCode.UPSTREAM_BROKEN, "the gzip answer broke off");
      return;
    }
    write(body.end());
    boolean early = !uploaded.getAsBoolean();
    conversation.complete();
    if (early) {
      conversation.abort();
    }
  }

  private void write(byte[] bytes) {
    if (bytes.length > 0) {
      out.write(Buffer.buffer(bytes));
      conversation.exchange().passedToCaller(bytes.length);
    }
  }
}
