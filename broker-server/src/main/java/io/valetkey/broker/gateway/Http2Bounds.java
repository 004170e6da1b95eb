package io.valetkey.broker.gateway;

import io.vertx.core.http.Http2Settings;

/** How much of each thing an HTTP/2 peer may have or do; the engine holds it to them. */
final class Http2Bounds {

  /** Unread bytes of all request bodies of a connection together. */
  static final int CONNECTION_WINDOW = 1024 * 1024;

  /** Streams that may be reset within {@link #RESET_SECONDS}, by either side's doing. */
  static final int RESETS = 200;

  static final int RESET_SECONDS = 30;

  /** Pieces of a header section that are smaller than they need be. */
  static final int SMALL_CONTINUATIONS = 16;

  private static final int STREAMS = 100;
  private static final int STREAM_WINDOW = 64 * 1024;
  private static final int HEADER_LIST_BYTES = 32 * 1024;

  private Http2Bounds() {}

  /** What is announced at the beginning of each connection. */
  static Http2Settings settings() {
    return new Http2Settings()
        .setMaxConcurrentStreams(STREAMS)
        .setInitialWindowSize(STREAM_WINDOW)
        .setMaxHeaderListSize(HEADER_LIST_BYTES);
  }
}
