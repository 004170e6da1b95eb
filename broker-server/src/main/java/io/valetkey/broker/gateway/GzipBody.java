package io.valetkey.broker.gateway;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * Unpacks one gzip member piece by piece (RFC 1952). A chunk that grows beyond {@link #MOST} is
 * refused, so a small answer cannot fill the memory.
 */
final class GzipBody {

  private static final int MOST = 8 << 20;
  private static final int FIXED_HEAD = 10;
  private static final int LONGEST_HEAD = 64 * 1024;
  private static final int TAIL = 8;

  private final Inflater inflater = new Inflater(true);
  private final CRC32 sum = new CRC32();
  private byte[] head = new byte[0];
  private byte[] tail = new byte[0];
  private boolean headRead;
  private boolean ended;

  /**
   * Unpacks a chunk.
   *
   * @throws DataFormatException if it is not gzip, or unpacks to too much
   */
  byte[] unpack(byte[] chunk) throws DataFormatException {
    byte[] data = chunk;
    if (!headRead) {
      head = join(head, chunk);
      int length = headLength(head);
      if (length < 0) {
        return new byte[0];
      }
      headRead = true;
      data = Arrays.copyOfRange(head, length, head.length);
      head = new byte[0];
    }
    if (ended) {
      trail(data);
      return new byte[0];
    }
    return inflate(data);
  }

  /** Only one member is read: what comes behind it could be another one. */
  private void trail(byte[] more) throws DataFormatException {
    if (tail.length + more.length > TAIL) {
      throw new DataFormatException("more than one member");
    }
    tail = join(tail, more);
  }

  /** Whether the end of the member was reached and its check sum fits. Frees what it held. */
  boolean isComplete() {
    long crc = 0;
    for (int i = 3; i >= 0 && tail.length == TAIL; i--) {
      crc = crc << 8 | (tail[i] & 0xff);
    }
    boolean complete = ended && tail.length == TAIL && crc == sum.getValue();
    inflater.end();
    return complete;
  }

  private byte[] inflate(byte[] data) throws DataFormatException {
    inflater.setInput(data);
    ByteArrayOutputStream out = new ByteArrayOutputStream(data.length * 4);
    byte[] buffer = new byte[8192];
    int count;
    while ((count = inflater.inflate(buffer)) > 0) {
      out.write(buffer, 0, count);
      if (out.size() > MOST) {
        throw new DataFormatException("unpacks to too much");
      }
    }
    if (inflater.needsDictionary()) {
      throw new DataFormatException("needs a dictionary");
    }
    if (inflater.finished()) {
      ended = true;
      trail(Arrays.copyOfRange(data, data.length - inflater.getRemaining(), data.length));
    }
    byte[] unpacked = out.toByteArray();
    sum.update(unpacked);
    return unpacked;
  }

  /** The length of the header, or −1 if there is more of it to come. */
  private static int headLength(byte[] bytes) throws DataFormatException {
    if (bytes.length < FIXED_HEAD) {
      return -1;
    }
    int flags = bytes[3];
    if ((bytes[0] & 0xff) != 0x1f || (bytes[1] & 0xff) != 0x8b || bytes[2] != 8 || flags > 0x1f) {
      throw new DataFormatException("not gzip");
    }
    int at = FIXED_HEAD;
    if ((flags & 4) != 0) {
      at = bytes.length < at + 2 ? Integer.MAX_VALUE - 4 : at + 2 + extra(bytes, at);
    }
    for (int strings = flags >> 3 & 3; strings > 0; strings &= strings - 1) {
      while (at < bytes.length && bytes[at] != 0) {
        at++;
      }
      at++;
    }
    at += flags & 2;
    if (bytes.length > LONGEST_HEAD) {
      throw new DataFormatException("endless header");
    }
    return at > bytes.length ? -1 : at;
  }

  private static int extra(byte[] bytes, int at) {
    return (bytes[at] & 0xff) | (bytes[at + 1] & 0xff) << 8;
  }

  private static byte[] join(byte[] first, byte[] second) {
    byte[] joined = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, joined, first.length, second.length);
    return joined;
  }
}
