package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Reads a body in the coding {@code aws-chunked}, strictly, and gives what is sent on: the bare
 * content, or the same chunks without their signatures, which were made with the caller's own key,
 * and with the trailers that hold a checksum.
 *
 * @see <a
 *     href="https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html">Amazon
 *     S3, Signature calculations with trailing headers</a>
 */
final class AwsChunked {

  private enum State {
    SIZE,
    DATA,
    DATA_END,
    TRAILER,
    COMPLETE
  }

  private static final int LONGEST_LINE = 1024;
  private static final int MOST_TRAILERS = 8;
  private static final Pattern SIZE =
      Pattern.compile("([0-9A-Fa-f]{1,8})(?:;chunk-signature=[0-9a-f]{1,256})?");
  private static final Pattern TRAILER = Pattern.compile("([A-Za-z0-9-]{1,128}):([ -~]{0,512})");
  private static final String SIGNATURE = "x-amz-trailer-signature";

  private final boolean keepChunks;
  private final Set<String> announced;
  private final long stated;
  private final StringBuilder line = new StringBuilder();
  private State state = State.SIZE;
  private long missing;
  private long decoded;
  private int trailers;

  /**
   * A reader of one body.
   *
   * @param keepChunks whether chunks and trailers are kept; else the content alone is
   * @param announced the trailers that may come, lower case
   * @param stated how long the content is, as the caller said; negative if it did not
   */
  AwsChunked(boolean keepChunks, Set<String> announced, long stated) {
    this.keepChunks = keepChunks;
    this.announced = announced;
    this.stated = stated;
  }

  /**
   * Takes the next piece of the body and gives what is to be sent for it, which may be nothing.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it is malformed
   */
  byte[] feed(byte[] bytes) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(bytes.length);
    int at = 0;
    while (at < bytes.length) {
      if (state == State.DATA) {
        int count = (int) Math.min(missing, bytes.length - at);
        out.write(bytes, at, count);
        at += count;
        missing -= count;
        if (missing == 0) {
          state = State.DATA_END;
        }
      } else {
        take(bytes[at++] & 0xff, out);
      }
    }
    return out.toByteArray();
  }

  /**
   * The body has ended.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it is not complete
   */
  void end() {
    if (state != State.COMPLETE || (stated >= 0 && decoded != stated)) {
      throw malformed();
    }
  }

  private void take(int c, ByteArrayOutputStream out) {
    boolean complete = !line.isEmpty() && line.charAt(line.length() - 1) == '\r';
    if (state == State.COMPLETE
        || line.length() > LONGEST_LINE
        || complete != (c == '\n')
        || (c != '\r' && c != '\n' && (c < ' ' || c > '~'))) {
      throw malformed();
    }
    if (!complete) {
      line.append((char) c);
      return;
    }
    String text = line.substring(0, line.length() - 1);
    line.setLength(0);
    switch (state) {
      case SIZE -> size(text, out);
      case DATA_END -> {
        if (!text.isEmpty()) {
          throw malformed();
        }
        keep("\r\n", out);
        state = State.SIZE;
      }
      case TRAILER -> trailer(text, out);
      case DATA, COMPLETE -> throw malformed();
    }
  }

  private void size(String text, ByteArrayOutputStream out) {
    var matcher = SIZE.matcher(text);
    if (!matcher.matches()) {
      throw malformed();
    }
    missing = Long.parseLong(matcher.group(1), 16);
    decoded += missing;
    if (stated >= 0 && decoded > stated) {
      throw malformed();
    }
    keep(matcher.group(1) + "\r\n", out);
    state = missing == 0 ? State.TRAILER : State.DATA;
  }

  private void trailer(String text, ByteArrayOutputStream out) {
    if (text.isEmpty()) {
      keep("\r\n", out);
      state = State.COMPLETE;
      return;
    }
    var matcher = TRAILER.matcher(text);
    if (!matcher.matches() || ++trailers > MOST_TRAILERS) {
      throw malformed();
    }
    String name = matcher.group(1).toLowerCase(Locale.ROOT);
    if (name.equals(SIGNATURE)) {
      return;
    }
    if (!keepChunks || !announced.contains(name)) {
      throw malformed();
    }
    keep(text + "\r\n", out);
  }

  private void keep(String text, ByteArrayOutputStream out) {
    if (keepChunks) {
      out.writeBytes(text.getBytes(StandardCharsets.US_ASCII));
    }
  }

  private static RefusedException malformed() {
    return new RefusedException(
        ProblemCode.INVALID_REQUEST, "the body is not the aws-chunked it says it is");
  }
}
