package io.valetkey.bench;

import io.valetkey.realparts.NetworkPath;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What PostgreSQL answers, without its notifications: messages of a type byte and a length
 * (protocol 3.0, "Message Formats"), of which {@code A} is dropped. The connection must use neither
 * TLS nor GSSAPI.
 */
final class LostNotifications implements NetworkPath.Answers {

  private static final int NOTIFICATION = 'A';

  private final AtomicLong lost = new AtomicLong();

  @Override
  public void copy(InputStream in, OutputStream out) throws IOException {
    var messages = new DataInputStream(in);
    try {
      while (true) {
        int type = messages.readUnsignedByte();
        int length = messages.readInt();
        byte[] body = messages.readNBytes(length - Integer.BYTES);
        if (type == NOTIFICATION) {
          lost.incrementAndGet();
          continue;
        }
        ByteBuffer message = ByteBuffer.allocate(1 + length);
        out.write(message.put((byte) type).putInt(length).put(body).array());
        if (messages.available() == 0) {
          out.flush();
        }
      }
    } catch (EOFException e) {
      // The connection has ended.
    }
  }

  /** How many were dropped. */
  long lost() {
    return lost.get();
  }
}
