package io.valetkey.broker.gateway;

/** Bytes that are not what RFC 6455 allows at this place. */
final class WebSocketViolation extends Exception {

  private static final long serialVersionUID = 1L;

  private final int closeCode;

  /**
   * Makes one.
   *
   * @param closeCode what the side that sent them is told (RFC 6455 section 7.4.1)
   * @param message what is wrong; never a byte of what came
   */
  WebSocketViolation(int closeCode, String message) {
    super(message, null, false, false);
    this.closeCode = closeCode;
  }

  int closeCode() {
    return closeCode;
  }
}
