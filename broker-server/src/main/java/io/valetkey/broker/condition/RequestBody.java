package io.valetkey.broker.condition;

import org.jspecify.annotations.Nullable;

/**
 * A whole request body, held because a condition asks about it. Its JSON is read once, whichever
 * rules ask; by one thread at a time.
 */
public final class RequestBody {

  private final byte[] bytes;
  private boolean read;
  private @Nullable Object json;

  /** Takes the bytes as they are; they must not change any more. */
  public RequestBody(byte[] bytes) {
    this.bytes = bytes;
  }

  /** The bytes as they came. */
  public byte[] bytes() {
    return bytes;
  }

  /** How many bytes it has. */
  public int length() {
    return bytes.length;
  }

  /** The JSON that it is; null if it is none, or has no one reading. */
  @Nullable Object json() {
    if (!read) {
      json = BodyJson.read(bytes);
      read = true;
    }
    return json;
  }
}
