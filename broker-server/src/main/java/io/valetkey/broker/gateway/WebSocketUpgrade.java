package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.net.NetSocket;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Between an upstream's 101 and the caller's: the caller gets none before the upstream's is known
 * to be the answer to the handshake that was sent. Whoever passes on whatever a server calls an
 * upgrade leaves a tunnel in which no rule holds.
 */
final class WebSocketUpgrade {

  private final Conversation conversation;
  private final Admission.Admitted admitted;
  private final WebSocketHandshake handshake;
  private final Scrubber scrubber;
  private final @Nullable OwnAddress own;
  private final GatewaySettings settings;

  WebSocketUpgrade(
      Conversation conversation,
      Admission.Admitted admitted,
      Scrubber scrubber,
      @Nullable OwnAddress own,
      GatewaySettings settings) {
    this.conversation = conversation;
    this.admitted = admitted;
    this.handshake = Objects.requireNonNull(admitted.webSocket());
    this.scrubber = scrubber;
    this.own = own;
    this.settings = settings;
  }

  /** Starts; nothing of the upstream's frames has been read yet. */
  void start(HttpClientResponse response) {
    Fields received = new Fields();
    response.headers().forEach((name, value) -> received.add(name, value));
    String problem = handshake.problemWith(received);
    if (problem != null) {
      conversation.fail(ProblemCode.UPSTREAM_BROKEN, "not the answer to the handshake: " + problem);
      return;
    }
    NetSocket upstream = response.netSocket();
    upstream.pause();
    if (!conversation.mayPassOn()) {
      return;
    }
    if (!conversation.mayTunnel()) {
      conversation.fail(
          ProblemCode.INVALID_REQUEST, "the caller sent frames before the handshake was answered");
      return;
    }
    writeHead(received);
    conversation.request().resume();
    conversation
        .request()
        .toNetSocket()
        .onSuccess(caller -> {
          caller.pause();
          new WebSocketRelay(
                  conversation, caller, upstream, admitted, scrubber, settings.webSocketIdle())
              .start();
        })
        .onFailure(e -> conversation.abandoned());
  }

  private void writeHead(Fields received) {
    HttpServerResponse out = conversation.response();
    Fields filtered = FilterAnswer.filtered(received, admitted, own);
    for (Fields.Field field : filtered.list()) {
      out.headers().add(scrubber.scrub(field.name()), scrubber.scrub(field.value()));
    }
    Fields ours = handshake.forCaller(received.first("sec-websocket-protocol"));
    ours.list().forEach(field -> out.headers().add(field.name(), field.value()));
  }
}
