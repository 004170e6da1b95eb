package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/** Reads a whole request body into memory, because something depends on all of it. */
final class HeldBody {

  private HeldBody() {}

  /**
   * Reads it on the event loop of the conversation, from any thread.
   *
   * @param most how many bytes it may have
   * @param idle how long the caller may take for each piece
   * @param tooLarge what stands on record if it has more
   * @return completes on the event loop; fails with a {@link RefusedException} if the body is too
   *     large or breaks off, or no more bodies have room here, and does not complete if the
   *     exchange ends before
   */
  static CompletableFuture<byte[]> read(
      Conversation conversation, long most, Duration idle, String tooLarge) {
    var held = new CompletableFuture<byte[]>();
    conversation
        .context()
        .runOnContext(v -> {
          if (conversation.mayPassOn()) {
            read(conversation, most, idle, tooLarge, held);
          }
        });
    return held;
  }

  private static void read(
      Conversation conversation,
      long most,
      Duration idle,
      String tooLarge,
      CompletableFuture<byte[]> held) {
    HttpServerRequest in = conversation.request();
    String announced = in.getHeader("content-length");
    if (announced != null && Long.parseLong(announced) > most) {
      held.completeExceptionally(new RefusedException(ProblemCode.CONTENT_TOO_LARGE, tooLarge));
      return;
    }
    Buffer body = Buffer.buffer();
    in.exceptionHandler(e ->
        held.completeExceptionally(
            new RefusedException(ProblemCode.INVALID_REQUEST, "the body broke off")));
    in.endHandler(v -> {
      if (conversation.mayPassOn()) {
        held.complete(body.getBytes());
      }
    });
    in.handler(chunk -> {
      if (held.isDone() || !conversation.mayPassOn()) {
        return;
      }
      if (body.length() + chunk.length() > most) {
        in.pause();
        held.completeExceptionally(new RefusedException(ProblemCode.CONTENT_TOO_LARGE, tooLarge));
      } else if (!conversation.exchange().hold(chunk.length())) {
        in.pause();
        held.completeExceptionally(
            new RefusedException(
                ProblemCode.TEMPORARILY_UNAVAILABLE,
                "as many bodies are held here as there may be"));
      } else {
        conversation.expect(idle, ProblemCode.UPSTREAM_TIMEOUT);
        body.appendBuffer(chunk);
      }
    });
    conversation.expect(idle, ProblemCode.UPSTREAM_TIMEOUT);
    if (in.getHeader("expect") != null) {
      conversation.response().writeContinue();
    }
    in.resume();
  }
}
