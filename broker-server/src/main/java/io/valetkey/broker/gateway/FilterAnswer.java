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
import java.util.regex.Pattern;
import java.util.zip.DataFormatException;
import org.jspecify.annotations.Nullable;

/**
 * Streams an upstream's answer to the caller, chunk by chunk: without cookies and credentials, with
 * the upstream's own address replaced by ours and the injected value masked. A gzip answer, which
 * nobody asked for, is unpacked to be read; any other coding is refused, because it could hide the
 * credential, and so is gzip in what says that it is plain text.
 */
final class FilterAnswer {

  private static final Set<String> CHANGED_BY_UNPACKING =
      Set.of(
          "content-length",
          "content-encoding",
          "content-md5",
          "digest",
          "content-digest",
          "repr-digest");
  private static final Pattern LENGTH = Pattern.compile("[0-9]{1,18}");

  private final Conversation conversation;
  private final Admission.Admitted admitted;
  private final GatewaySettings settings;
  private final HttpServerResponse out;
  private final Scrubber scrubber;
  private final Scrubber.Stream body;
  private @Nullable GzipBody gzip;

  /** Of a body that must not be gzip. */
  private @Nullable GzipSignature unannounced;

  /** How much of a body of known length is still to come; negative if none was stated. */
  private long missing = -1;

  private Buffer last = Buffer.buffer();

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
    response.exceptionHandler(
        e -> conversation.fail(ProblemCode.UPSTREAM_BROKEN, "the answer broke off"));
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
    String type = received.first("content-type");
    if (plain && (type == null || MediaTypes.isText(type))) {
      unannounced = new GzipSignature();
    }
    List<String> transfer = received.members("transfer-encoding");
    boolean framed = transfer.isEmpty() || transfer.equals(List.of("chunked"));
    // 101 would be a tunnel that nobody asked for.
    return response.statusCode() >= 200 && framed && (plain || gzipped || !hasBody(response));
  }

  private void writeHead(HttpClientResponse response, Fields received) {
    Fields filtered = filtered(received, admitted, settings);
    if (gzip != null) {
      filtered = filtered.without(CHANGED_BY_UNPACKING::contains);
    }
    conversation.answering();
    out.setStatusCode(response.statusCode());
    out.setStatusMessage(scrubber.scrub(response.statusMessage()));
    for (Fields.Field field : filtered.list()) {
      out.headers().add(scrubber.scrub(field.name()), scrubber.scrub(field.value()));
    }
    String length = filtered.first("content-length");
    if (hasBody(response) && length == null) {
      out.setChunked(true);
    } else if (hasBody(response) && LENGTH.matcher(length).matches()) {
      missing = Long.parseLong(length);
    }
  }

  /** The fields that reach the caller, not scrubbed yet. */
  static Fields filtered(Fields received, Admission.Admitted admitted, GatewaySettings settings) {
    Destination target = admitted.destination();
    Fields kept = HeaderRules.forCaller(received, target.injection().headers());
    if (admitted.accepted().way() != Way.BASE_URL) {
      // There the caller knows the upstream by its own address.
      return kept;
    }
    String ours = settings.publicUrl() + "/d/" + target.name();
    return new OwnAddress(ours, target.host(), target.port()).rewrite(kept);
  }

  private boolean hasBody(HttpClientResponse response) {
    int status = response.statusCode();
    return !conversation.request().method().name().toUpperCase(Locale.ROOT).equals("HEAD")
        && status != 204
        && status != 304;
  }

  @SuppressWarnings(
      "ReferenceEquality") // the scrubber gives back the very array it leaves as it is
  private void chunk(HttpClientResponse response, Buffer chunk) {
    if (!conversation.mayPassOn()) {
      return;
    }
    conversation.expect(settings.idleTimeout(), ProblemCode.UPSTREAM_TIMEOUT);
    try {
      byte[] bytes = chunk.getBytes();
      if (unannounced != null && unannounced.isIn(bytes)) {
        throw new DataFormatException("gzip that was not announced");
      }
      byte[] clean = body.feed(gzip == null ? bytes : gzip.unpack(bytes));
      write(clean == bytes ? chunk : Buffer.buffer(clean));
    } catch (DataFormatException e) {
      conversation.fail(ProblemCode.UPSTREAM_BROKEN, "the answer is not in the coding it says");
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
    byte[] rest = body.end();
    boolean early = !uploaded.getAsBoolean();
    Buffer end = rest.length == 0 ? last : last.appendBytes(rest);
    conversation.exchange().passedToCaller(end.length());
    conversation.complete(end);
    if (early) {
      conversation.abort();
    }
  }

  /** The last piece of a body of known length waits for the end, which comes with it. */
  private void write(Buffer piece) {
    missing -= piece.length();
    if (missing == 0) {
      last = piece;
    } else if (piece.length() > 0) {
      out.write(piece);
      conversation.exchange().passedToCaller(piece.length());
    }
  }
}
