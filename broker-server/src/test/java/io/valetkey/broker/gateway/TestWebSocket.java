package io.valetkey.broker.gateway;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Either end of a WebSocket by hand: it can write anything and reads frame by frame. */
final class TestWebSocket {

  static final String KEY = "dGhlIHNhbXBsZSBub25jZQ==";
  private static final byte[] MASK = {1, 2, 3, 4};

  /** A frame as it was read. */
  record Frame(boolean last, int opcode, boolean masked, byte[] payload) {

    String text() {
      return new String(payload, StandardCharsets.ISO_8859_1);
    }

    int closeCode() {
      return WebSocketFrames.closeCode(payload);
    }
  }

  private TestWebSocket() {}

  static String handshake(String path, String more) {
    return "GET "
        + path
        + " HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer good\r\nUpgrade: websocket\r\n"
        + "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + KEY
        + "\r\n"
        + more
        + "\r\n";
  }

  static TestHttp open(TestGateway gateway) throws Exception {
    TestHttp caller = gateway.caller();
    caller.send(handshake("/d/up/v1/live/x", ""));
    TestHttp.Answer answer = caller.read(true);
    if (answer.status() != 101) {
      throw new IOException(answer.head());
    }
    return caller;
  }

  /** The upstream's answer to the handshake. */
  static String accepting(TestUpstream.Received request, String more) {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: "
        + WebSocketHandshake.accept(request.values("sec-websocket-key").getFirst())
        + "\r\n"
        + more
        + "\r\n";
  }

  /** A server that sends back each frame as it came. */
  static void echo(TestUpstream.Received request, OutputStream out) throws IOException {
    TestUpstream.raw(out, accepting(request, ""));
    while (true) {
      Frame frame = read(request.body());
      out.write(WebSocketFrames.frame(frame.opcode(), frame.last(), frame.payload(), null));
      out.flush();
      if (frame.opcode() == WebSocketFrames.CLOSE) {
        throw new IOException("closed");
      }
    }
  }

  static byte[] masked(int opcode, boolean last, String payload) {
    return WebSocketFrames.frame(
        opcode, last, payload.getBytes(StandardCharsets.ISO_8859_1), MASK.clone());
  }

  static byte[] plain(int opcode, boolean last, String payload) {
    return WebSocketFrames.frame(opcode, last, payload.getBytes(StandardCharsets.ISO_8859_1), null);
  }

  static void send(TestHttp to, byte[] frame) throws IOException {
    to.socket.getOutputStream().write(frame);
    to.socket.getOutputStream().flush();
  }

  /** The close frame, past whatever comes before it. */
  static Frame readClose(InputStream in) throws IOException {
    Frame frame;
    do {
      frame = read(in);
    } while (frame.opcode() != 8);
    return frame;
  }

  static Frame read(InputStream in) throws IOException {
    int first = in.read();
    int second = in.read();
    if (first < 0 || second < 0) {
      throw new IOException("closed");
    }
    long length = second & 0x7f;
    int bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (bytes > 0) {
      length = 0;
      for (byte b : in.readNBytes(bytes)) {
        length = length << 8 | b & 0xff;
      }
    }
    boolean masked = (second & 0x80) != 0;
    byte[] mask = masked ? in.readNBytes(4) : new byte[4];
    byte[] payload = in.readNBytes((int) length);
    if (payload.length < length) {
      throw new IOException("cut within a frame");
    }
    for (int i = 0; i < payload.length; i++) {
      payload[i] ^= mask[i & 3];
    }
    return new Frame((first & 0x80) != 0, first & 0x7f, masked, payload);
  }

  static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  static byte[] joined(byte[] first, byte[] second) {
    byte[] joined = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, joined, first.length, second.length);
    return joined;
  }
}
