package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import java.time.Duration;
import java.util.Arrays;
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
  private static final Set<String> CHANGED_BY_REWRITING =
      Set.of(
          "content-length",
          "content-md5",
          "digest",
          "content-digest",
          "repr-digest",
          "accept-ranges");
  private static final Pattern LENGTH = Pattern.compile("[0-9]{1,18}");

  private final Conversation conversation;
  private final Admission.Admitted admitted;
  private final @Nullable OwnAddress own;
  private final HttpServerResponse out;
  private final Duration idle;
  private final Scrubber scrubber;
  private final Scrubber.Stream body;
  private @Nullable GzipBody gzip;
  private @Nullable UsageReader usage;

  /** Of a body in which the upstream's own address is replaced. */
  private AddressRewriter.@Nullable Stream addresses;

  /** Of a body that must not be gzip. */
  private @Nullable GzipSignature unannounced;

  /** How much of a body of known length is still to come; negative if none was stated. */
  private long missing = -1;

  private Buffer last = Buffer.buffer();

  FilterAnswer(
      Conversation conversation,
      Admission.Admitted admitted,
      Scrubber scrubber,
      @Nullable OwnAddress own,
      GatewaySettings settings) {
    this.conversation = conversation;
    this.admitted = admitted;
    this.own = own;
    this.out = conversation.response();
    this.scrubber = scrubber;
    this.body = scrubber.stream();
    this.idle = Forward.idle(admitted, settings);
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
    if (conversation.exchange().countsModelTokens()) {
      usage = UsageReader.of(received.first("content-type"));
      conversation.exchange().usage(usage);
    }
    conversation.expect(idle, ProblemCode.UPSTREAM_TIMEOUT);
    response.endHandler(v -> end(response, uploaded));
    response.handler(chunk -> chunk(response, chunk));
  }

  private boolean isReadable(HttpClientResponse response, Fields received) {
    List<String> codings = received.members("content-encoding");
    boolean gzipped = codings.equals(List.of("gzip")) || codings.equals(List.of("x-gzip"));
    if (gzipped && hasBody(response)) {
      gzip = new GzipBody();
    }
    boolean plain = codings.isEmpty() || codings.equals(List.of("identity"));
    // Messages of gRPC have codings of their own, which were not asked for either.
    List<String> messages = received.members("grpc-encoding");
    if (!messages.isEmpty() && !messages.equals(List.of("identity"))) {
      return false;
    }
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
    Fields filtered = filtered(received, admitted, own);
    filtered = rewritten(response, received, filtered);
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
      if (conversation.passesTrailers() && !filtered.has("grpc-status")) {
        // A caller of both directions may wait for it; a call that has failed has nothing else.
        var _ = out.writeHead();
      }
    } else if (hasBody(response) && LENGTH.matcher(length).matches()) {
      missing = Long.parseLong(length);
    }
  }

  /** The fields that reach the caller, not scrubbed yet. */
  static Fields filtered(Fields received, Admission.Admitted admitted, @Nullable OwnAddress own) {
    Set<String> slots = admitted.destination().injection().headers();
    Fields kept = HeaderRules.forCaller(received, slots);
    return own == null ? kept : own.rewrite(kept);
  }

  /**
   * The fields of a body whose addresses are replaced, if they are. A part of a body is left as it
   * is: its place is counted in the bytes of the upstream.
   */
  private Fields rewritten(HttpClientResponse response, Fields received, Fields fields) {
    if (own == null || !admitted.destination().rewriteBodies()) {
      return fields;
    }
    int status = response.statusCode();
    boolean text = status != 206 && MediaTypes.isText(received.first("content-type"));
    if (text && hasBody(response)) {
      addresses = own.body();
    }
    Fields changed = text ? fields.without(CHANGED_BY_REWRITING::contains) : fields;
    // What was not modified is the same that was rewritten before, and said to be so.
    return text || status == 304 ? weakened(changed) : changed;
  }

  /** With entity tags that do not promise the same bytes (RFC 9110 section 8.8.1). */
  private static Fields weakened(Fields fields) {
    String tag = fields.first("etag");
    return tag == null || tag.startsWith("W/")
        ? fields
        : fields.without("etag"::equals).add("ETag", "W/" + tag);
  }

  private boolean hasBody(HttpClientResponse response) {
    int status = response.statusCode();
    return !conversation.request().method().name().toUpperCase(Locale.ROOT).equals("HEAD")
        && status != 204
        && status != 304;
  }

  @SuppressWarnings(
      "ReferenceEquality") // scrubber and rewriter give back the very array it leaves as it is
  private void chunk(HttpClientResponse response, Buffer chunk) {
    if (!conversation.mayPassOn()) {
      return;
    }
    conversation.expect(idle, ProblemCode.UPSTREAM_TIMEOUT);
    try {
      byte[] bytes = chunk.getBytes();
      if (unannounced != null && unannounced.isIn(bytes)) {
        throw new DataFormatException("gzip that was not announced");
      }
      byte[] plain = gzip == null ? bytes : gzip.unpack(bytes);
      if (usage != null) {
        usage.feed(plain);
      }
      byte[] clean = body.feed(plain);
      clean = addresses == null ? clean : addresses.feed(clean);
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

  private void end(HttpClientResponse response, BooleanSupplier uploaded) {
    if (!conversation.mayPassOn()) {
      return;
    }
    if (gzip != null && !gzip.isComplete()) {
      conversation.fail(ProblemCode.UPSTREAM_BROKEN, "the gzip answer broke off");
      return;
    }
    byte[] rest = rest();
    boolean early = !uploaded.getAsBoolean();
    passTrailers(response);
    Buffer end = rest.length == 0 ? last : last.appendBytes(rest);
    conversation.exchange().passedToCaller(end.length());
    conversation.complete(end);
    if (early) {
      conversation.abort();
    }
  }

  /** What an upstream says after its body, by HTTP/2 only. */
  private void passTrailers(HttpClientResponse response) {
    if (!conversation.passesTrailers() || response.version() != HttpVersion.HTTP_2) {
      return;
    }
    Fields received = new Fields();
    response.trailers().forEach((name, value) -> received.add(name, value));
    HeaderRules.forCallersTrailers(received, admitted.destination().injection().headers())
        .list()
        .forEach(field ->
            out.trailers().add(scrubber.scrub(field.name()), scrubber.scrub(field.value())));
  }

  /** What was held back of the body. */
  private byte[] rest() {
    byte[] masked = body.end();
    if (addresses == null) {
      return masked;
    }
    byte[] almost = addresses.feed(masked);
    byte[] last = addresses.end();
    byte[] all = Arrays.copyOf(almost, almost.length + last.length);
    System.arraycopy(last, 0, all, almost.length, last.length);
    return all;
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
