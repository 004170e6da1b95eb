package io.valetkey.broker.gateway;

import io.netty.handler.codec.http2.Http2Error;
import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import io.vertx.core.Context;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpClosedException;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.StreamResetException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * The upstream's side of one exchange: connect to a checked address, send, and hand the answer to
 * {@link FilterAnswer}. Sends again only what cannot have been acted upon.
 */
final class Forward {

  private static final long CANCEL = Http2Error.CANCEL.code();
  private static final long REFUSED = Http2Error.REFUSED_STREAM.code();

  private final Conversation conversation;
  private final UpstreamPools pools;
  private final Credentials credentials;
  private final Scrubbers scrubbers;
  private final AnswerAddresses addresses;
  private final GatewaySettings settings;
  private final HttpServerRequest in;
  private Admission.Admitted admitted;
  private @Nullable HttpClientRequest current;
  private boolean reused;
  private boolean triedIdle;
  private boolean refreshed;
  private long received;
  private boolean uploaded;
  private byte @Nullable [] held;
  private long sentNanos;

  Forward(
      Conversation conversation,
      Admission.Admitted admitted,
      UpstreamPools pools,
      Credentials credentials,
      Scrubbers scrubbers,
      AnswerAddresses addresses,
      GatewaySettings settings) {
    this.conversation = conversation;
    this.admitted = admitted;
    this.pools = pools;
    this.credentials = credentials;
    this.scrubbers = scrubbers;
    this.addresses = addresses;
    this.settings = settings;
    this.in = conversation.request();
  }

  /** Starts. All that follows happens on the caller's event loop. */
  void start() {
    conversation.limit(admitted.longest());
    conversation.exchange().admitted(admitted.destination().name());
    held = admitted.held();
    if (held == null && admitted.needsBody()) {
      hold();
    } else {
      attempt(admitted.addresses().iterator());
    }
  }

  /** Reads the whole body first, because what is sent depends on it. */
  private void hold() {
    long most = Math.min(admitted.destination().maxRequestBody(), UpstreamRequest.MOST_HELD);
    var _ =
        HeldBody.read(conversation, most, settings.idleTimeout(), "the body is too large to sign")
            .whenComplete((body, failure) -> {
              if (body != null) {
                held = body;
                attempt(admitted.addresses().iterator());
              } else if (Trace.cause(failure) instanceof RefusedException refused) {
                conversation.fail(refused.code(), refused.detail());
              }
            });
  }

  private void attempt(Iterator<InetAddress> addresses) {
    if (!conversation.mayPassOn()) {
      return;
    }
    UpstreamRequest request;
    try {
      request = conversation.exchange().trace().step("rebuild", () -> admitted.rebuild(held));
    } catch (RefusedException e) {
      conversation.fail(e.code(), e.detail());
      return;
    }
    conversation.expect(
        settings.connectTimeout().multipliedBy(2).plusSeconds(1), ProblemCode.UPSTREAM_TIMEOUT);
    long begun = System.nanoTime();
    pools
        .request(admitted, request, addresses.next())
        .onSuccess(out -> send(out, request, begun))
        .onFailure(e -> unconnected(e, addresses, begun));
  }

  private void unconnected(Throwable failure, Iterator<InetAddress> addresses, long begun) {
    String alert = refusal(failure);
    ProblemCode code =
        alert == null ? connectFailure(failure) : ProblemCode.UPSTREAM_CREDENTIAL_REJECTED;
    conversation.exchange().trace().note("connect", code.code(), begun);
    // Nothing was sent, so the next checked address may be tried; a wrong certificate stays wrong.
    if (alert != null) {
      certificateRefused(alert);
    } else if (addresses.hasNext() && code != ProblemCode.UPSTREAM_CERTIFICATE) {
      attempt(addresses);
    } else {
      conversation.fail(code, "could not connect: " + failure.getClass().getSimpleName());
    }
  }

  private @Nullable String refusal(Throwable failure) {
    return admitted.certificate() == null ? null : TlsRefusal.alert(failure);
  }

  /** Has another one fetched for the next request, unless that was done just now. */
  private void certificateRefused(String alert) {
    DestinationSpec.Credential.Certificate reference = admitted.destination().certificate();
    if (reference != null && admitted.hasOldCertificate()) {
      var _ = credentials.refresh(reference);
    }
    conversation.fail(
        ProblemCode.UPSTREAM_CREDENTIAL_REJECTED,
        "the upstream refused the client certificate: " + alert);
  }

  private void send(HttpClientRequest out, UpstreamRequest request, long begun) {
    conversation.exchange().trace().note("connect", "ok", begun);
    conversation.upstream(() -> cancel(out));
    if (!conversation.mayPassOn()) {
      out.reset(CANCEL);
      return;
    }
    current = out;
    sentNanos = System.nanoTime();
    reused = pools.isReused(out.connection());
    request.fields().list().forEach(field -> out.headers().add(field.name(), field.value()));
    if (isHttp2(out) && admitted.accepted().fields().members("te").contains("trailers")) {
      out.putHeader("te", "trailers");
    }
    conversation.expect(admitted.destination().timeout(), ProblemCode.UPSTREAM_TIMEOUT);
    out.exceptionHandler(e -> broken(out, e));
    out.response().onSuccess(response -> answered(out, response)).onFailure(e -> broken(out, e));
    WebSocketHandshake webSocket = admitted.webSocket();
    if (webSocket != null) {
      webSocket.forUpstream().list().forEach(f -> out.headers().add(f.name(), f.value()));
      var _ = out.connect();
      return;
    }
    if (held != null) {
      uploaded = true;
      out.putHeader("Content-Length", String.valueOf(held.length));
      conversation.exchange().passedToUpstream(held.length);
      out.end(Buffer.buffer(held));
    } else if (hasBody()) {
      upload(out, request);
    } else {
      uploaded = true;
      out.end();
    }
  }

  private static boolean isHttp2(HttpClientRequest out) {
    return out.connection().protocolVersion() == HttpVersion.HTTP_2;
  }

  /** Of a connection of HTTP/2 only the stream ends: others of the same agent may be on it. */
  private static void cancel(HttpClientRequest out) {
    var _ = out.reset(CANCEL);
    if (isHttp2(out)) {
      HardClose.ifStuck(out.connection());
    } else {
      HardClose.of(out.connection());
    }
  }

  /** How long nothing may move; calls of gRPC are kept open like WebSockets. */
  private Duration idle() {
    return idle(admitted, settings);
  }

  static Duration idle(Admission.Admitted admitted, GatewaySettings settings) {
    String type = admitted.accepted().fields().first("content-type");
    return type != null && type.startsWith("application/grpc")
        ? settings.webSocketIdle()
        : settings.idleTimeout();
  }

  private boolean hasBody() {
    return admitted.accepted().fields().announceBody();
  }

  private void upload(HttpClientRequest out, UpstreamRequest request) {
    String length = request.length();
    AwsChunked decoder = request.decoder();
    if (length == null) {
      out.setChunked(true);
      if (isHttp2(out)) {
        // The upstream may want to answer before the body begins.
        var _ = out.writeHead();
      }
    } else {
      out.putHeader("Content-Length", length);
    }
    in.exceptionHandler(e -> conversation.fail(ProblemCode.INVALID_REQUEST, "the body broke off"));
    in.endHandler(v -> {
      if (!conversation.mayPassOn()) {
        return;
      }
      if (decoder != null && !decodes(decoder::end)) {
        return;
      }
      uploaded = true;
      conversation.expect(admitted.destination().timeout(), ProblemCode.UPSTREAM_TIMEOUT);
      out.end();
    });
    in.handler(
        decoder == null
            ? chunk -> uploadChunk(out, chunk)
            : chunk ->
                decodes(() -> uploadChunk(out, Buffer.buffer(decoder.feed(chunk.getBytes())))));
    if (in.getHeader("expect") != null) {
      conversation.response().writeContinue();
    }
    in.resume();
  }

  /** Whether the body is what it says it is; if it is not, the exchange has failed. */
  private boolean decodes(Runnable step) {
    try {
      step.run();
      return true;
    } catch (RefusedException e) {
      conversation.fail(e.code(), e.detail());
      return false;
    }
  }

  private void uploadChunk(HttpClientRequest out, Buffer chunk) {
    received += chunk.length();
    if (received > admitted.destination().maxRequestBody()) {
      conversation.fail(ProblemCode.CONTENT_TOO_LARGE, "the body is larger than allowed");
      return;
    }
    if (!conversation.mayPassOn()) {
      return;
    }
    conversation.expect(idle(), ProblemCode.UPSTREAM_TIMEOUT);
    if (chunk.length() == 0) {
      // All of a piece was framing.
      return;
    }
    out.write(chunk);
    conversation.exchange().passedToUpstream(chunk.length());
    if (out.writeQueueFull()) {
      in.pause();
      out.drainHandler(v -> in.resume());
    }
  }

  private void answered(HttpClientRequest out, HttpClientResponse response) {
    conversation.exchange().trace().note("upstream", "ok", sentNanos);
    conversation.exchange().answered(response.statusCode());
    if (response.statusCode() == 401) {
      rejected(out);
      return;
    }
    if (admitted.webSocket() != null) {
      if (response.statusCode() == 101) {
        new WebSocketUpgrade(
                conversation, admitted, scrubbers.of(admitted), addresses.of(admitted), settings)
            .start(response);
        return;
      }
      // Neither connection was made for what follows now.
      conversation.response().putHeader("Connection", "close");
    }
    new FilterAnswer(
            conversation, admitted, scrubbers.of(admitted), addresses.of(admitted), settings)
        .start(response, () -> uploaded);
  }

  /** The stored credential did not please: ask its source once, and never pass that 401 on. */
  private void rejected(HttpClientRequest out) {
    current = null;
    out.reset();
    boolean replayable =
        !hasBody() && !admitted.once() && List.of("GET", "HEAD").contains(in.method().name());
    if (!admitted.destination().hasCredential()) {
      // Another certificate would have the same names.
      conversation.fail(ProblemCode.UPSTREAM_CREDENTIAL_REJECTED, "the upstream answered 401");
      return;
    }
    if (refreshed || !replayable) {
      // Not replayed, but asked for anew, so that the next request has the right one.
      var _ = refreshed ? null : credentials.refresh(admitted.reference());
      conversation.fail(ProblemCode.UPSTREAM_CREDENTIAL_REJECTED, "the upstream answered 401");
      return;
    }
    refreshed = true;
    conversation.upstream(() -> {});
    Context context = conversation.context();
    var _ =
        credentials
            .refresh(admitted.reference())
            .whenComplete((fresh, e) -> context.runOnContext(v -> replay(fresh, e)));
  }

  private void replay(Credentials.@Nullable Credential fresh, @Nullable Throwable failure) {
    if (fresh == null || failure != null || fresh.version() == admitted.credential().version()) {
      conversation.fail(
          ProblemCode.UPSTREAM_CREDENTIAL_REJECTED, "the upstream answered 401, no other value");
      return;
    }
    admitted = admitted.with(fresh);
    attempt(admitted.addresses().iterator());
  }

  private void broken(HttpClientRequest out, Throwable failure) {
    if (!out.equals(current)) {
      // A late word about an attempt that was given up.
      return;
    }
    current = null;
    String alert = refusal(failure);
    if (alert != null && !conversation.hasEnded()) {
      certificateRefused(alert);
      return;
    }
    boolean idempotent = List.of("GET", "HEAD", "OPTIONS").contains(in.method().name());
    boolean untouched =
        (failure instanceof HttpClosedException closed && (reused || closed.goAway() != null))
            || (failure instanceof StreamResetException reset && reset.getCode() == REFUSED);
    if (untouched
        && !triedIdle
        && !admitted.once()
        && !hasBody()
        && idempotent
        && !conversation.response().headWritten()
        && !conversation.hasEnded()) {
      // An idle connection that the upstream had closed, or a stream that it refused to begin.
      triedIdle = true;
      attempt(admitted.addresses().iterator());
      return;
    }
    conversation.fail(
        ProblemCode.UPSTREAM_BROKEN, "broke off: " + failure.getClass().getSimpleName());
  }

  static ProblemCode connectFailure(Throwable failure) {
    for (Throwable e = failure; e != null; e = e.getCause()) {
      if (e instanceof java.security.cert.CertificateException || e instanceof SSLException) {
        return ProblemCode.UPSTREAM_CERTIFICATE;
      }
      if (e instanceof TimeoutException || e instanceof io.netty.channel.ConnectTimeoutException) {
        return ProblemCode.UPSTREAM_TIMEOUT;
      }
    }
    return ProblemCode.UPSTREAM_UNREACHABLE;
  }
}
