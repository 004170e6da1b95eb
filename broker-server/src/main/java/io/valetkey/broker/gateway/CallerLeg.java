package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;

/**
 * The place of one exchange on its caller's connection. It is all that differs between versions of
 * HTTP: over HTTP/1.1 a cut or a malformed request ends the connection, over HTTP/2 only the
 * stream. Used on the event loop of that connection.
 */
interface CallerLeg {

  /** For the deadlines of this exchange. */
  Alarm alarm();

  /** The exchange came to its end, good or bad. */
  void ended();

  /**
   * Takes the connection out of HTTP.
   *
   * @return false if that cannot be, or if the caller has sent more than its request
   */
  boolean mayTunnel();

  /** Whether a part of the request's body has not been read. */
  boolean hasUnreadBody();

  /** Whether no other request can follow on the connection after this refusal. */
  boolean isSpoiltBy(ProblemCode refusal);

  /** The head of an answer follows after which the connection takes no other request. */
  void lastAnswer();

  /** The answer is complete; what is left of the request is not wanted. */
  void endRequest();

  /** Ends the answer so that it does not look complete. */
  void cut();

  /** The same for a stop: nothing of the answer that waits in our buffers is delivered any more. */
  void cutHard();

  /** Whether trailers of an answer are part of it here, and its head goes out before its body. */
  boolean passesTrailers();
}
