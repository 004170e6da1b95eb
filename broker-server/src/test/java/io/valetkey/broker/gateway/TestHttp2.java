package io.valetkey.broker.gateway;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.DefaultHttp2HeadersDecoder;
import io.netty.handler.codec.http2.Http2Headers;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.cert.Certificate;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/** A caller that speaks HTTP/2 frame by frame, so that it can say anything and sees everything. */
final class TestHttp2 implements AutoCloseable {

  static final int DATA = 0;
  static final int HEADERS = 1;
  static final int RST_STREAM = 3;
  static final int SETTINGS = 4;
  static final int PING = 6;
  static final int GOAWAY = 7;
  static final int WINDOW_UPDATE = 8;
  static final int CONTINUATION = 9;
  static final int END_STREAM = 1;
  static final int ACK = 1;
  static final int END_HEADERS = 4;

  private static final int PRIORITY = 32;

  private static final String PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

  /** One frame as it came. */
  record Frame(int type, int flags, int stream, byte[] payload) {

    boolean ends() {
      return type <= HEADERS && (flags & END_STREAM) != 0;
    }

    /** The error code of RST_STREAM and GOAWAY. */
    int code() {
      ByteBuf bytes = Unpooled.wrappedBuffer(payload);
      return bytes.getInt(payload.length == 4 ? 0 : 4);
    }
  }

  /** What came on a stream until it ended. */
  record Answer(int status, Http2Headers head, String body, Http2Headers trailers, int reset) {

    /** Whether it came to an end that looks complete. */
    boolean isComplete() {
      return reset < 0;
    }

    String header(String name) {
      CharSequence value = head == null ? null : head.get(name);
      return value == null ? null : value.toString();
    }
  }

  private final SSLSocket socket;
  private final DataInputStream in;
  private final DefaultHttp2HeadersDecoder decoder = new DefaultHttp2HeadersDecoder(true, 1 << 20);
  private int next = 1;

  private TestHttp2(SSLSocket socket) throws IOException {
    this.socket = socket;
    socket.setSoTimeout(15_000);
    in = new DataInputStream(socket.getInputStream());
  }

  /** Connects and offers nothing but HTTP/2. */
  static TestHttp2 open(int port, SSLContext context) throws IOException {
    TestHttp2 caller =
        connect((SSLSocket) context.getSocketFactory().createSocket("localhost", port));
    caller.raw(PREFACE.getBytes(StandardCharsets.US_ASCII));
    return caller.frame(SETTINGS, 0, 0, new byte[0]);
  }

  /** The same over a socket of a tunnel. */
  static TestHttp2 begin(SSLSocket socket) throws IOException {
    TestHttp2 caller = connect(socket);
    caller.raw(PREFACE.getBytes(StandardCharsets.US_ASCII));
    return caller.frame(SETTINGS, 0, 0, new byte[0]);
  }

  /** The other side: a server that says what a test wants it to say. */
  static TestHttp2 serve(SSLSocket socket) throws IOException {
    SSLParameters parameters = socket.getSSLParameters();
    parameters.setApplicationProtocols(new String[] {"h2"});
    socket.setSSLParameters(parameters);
    TestHttp2 server = new TestHttp2(socket);
    if (server.in.readNBytes(PREFACE.length()).length < PREFACE.length()) {
      throw new IOException("closed before it began");
    }
    return server.frame(SETTINGS, 0, 0, new byte[0]);
  }

  /** The TLS alone. */
  static TestHttp2 connect(SSLSocket socket) throws IOException {
    SSLParameters parameters = socket.getSSLParameters();
    parameters.setApplicationProtocols(new String[] {"h2"});
    socket.setSSLParameters(parameters);
    socket.startHandshake();
    if (!socket.getApplicationProtocol().equals("h2")) {
      throw new IOException("ALPN chose " + socket.getApplicationProtocol());
    }
    return new TestHttp2(socket);
  }

  /** What the other side has shown. */
  Certificate certificate() throws IOException {
    return socket.getSession().getPeerCertificates()[0];
  }

  TestHttp2 raw(byte[] bytes) throws IOException {
    socket.getOutputStream().write(bytes);
    socket.getOutputStream().flush();
    return this;
  }

  TestHttp2 frame(int type, int flags, int stream, byte[] payload) throws IOException {
    ByteBuf frame = Unpooled.buffer();
    frame.writeMedium(payload.length).writeByte(type).writeByte(flags).writeInt(stream);
    return raw(ByteBufUtil.getBytes(frame.writeBytes(payload)));
  }

  /** A block of fields, each as it is and none indexed (RFC 7541 section 6.2.2). */
  static byte[] block(String... namesAndValues) {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      block.write(0);
      text(block, namesAndValues[i]);
      text(block, namesAndValues[i + 1]);
    }
    return block.toByteArray();
  }

  private static void text(ByteArrayOutputStream block, String text) {
    int length = text.length();
    if (length < 127) {
      block.write(length);
    } else {
      block.write(127);
      int rest = length - 127;
      while (rest >= 128) {
        block.write(rest % 128 + 128);
        rest /= 128;
      }
      block.write(rest);
    }
    block.writeBytes(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** Begins a stream with these fields. */
  int begin(boolean end, String... namesAndValues) throws IOException {
    int stream = next;
    next += 2;
    frame(HEADERS, END_HEADERS | (end ? END_STREAM : 0), stream, block(namesAndValues));
    return stream;
  }

  /** An ordinary request with the token of the tests. */
  int request(boolean end, String method, String path, String... more) throws IOException {
    List<String> fields =
        new ArrayList<>(
            List.of(
                ":method",
                method,
                ":scheme",
                "https",
                ":authority",
                "localhost",
                ":path",
                path,
                "authorization",
                "Bearer good"));
    fields.addAll(List.of(more));
    return begin(end, fields.toArray(String[]::new));
  }

  TestHttp2 answer(int stream, boolean end, String... namesAndValues) throws IOException {
    return frame(HEADERS, END_HEADERS | (end ? END_STREAM : 0), stream, block(namesAndValues));
  }

  TestHttp2 reset(int stream, int code) throws IOException {
    return frame(RST_STREAM, 0, stream, new byte[] {0, 0, 0, (byte) code});
  }

  TestHttp2 data(int stream, boolean end, String text) throws IOException {
    return frame(DATA, end ? END_STREAM : 0, stream, text.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** The next frame that says something; settings are acknowledged on the way. */
  Frame read() throws IOException {
    while (true) {
      int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
      int type = in.readUnsignedByte();
      int flags = in.readUnsignedByte();
      int stream = in.readInt() & Integer.MAX_VALUE;
      byte[] payload = in.readNBytes(length);
      if (type == SETTINGS && (flags & ACK) == 0) {
        frame(SETTINGS, ACK, 0, new byte[0]);
      } else if (type != SETTINGS && type != WINDOW_UPDATE) {
        return new Frame(type, flags, stream, payload);
      }
    }
  }

  Http2Headers headers(Frame frame) throws IOException {
    ByteBuf block = Unpooled.wrappedBuffer(frame.payload());
    if ((frame.flags() & PRIORITY) != 0) {
      block.skipBytes(5);
    }
    try {
      return decoder.decodeHeaders(frame.stream(), block);
    } catch (Exception e) {
      throw new IOException(e);
    }
  }

  /** Reads until this stream ends; frames of others are passed over. */
  Answer answer(int stream) throws IOException {
    Http2Headers head = null;
    Http2Headers trailers = null;
    StringBuilder body = new StringBuilder();
    while (true) {
      Frame frame = read();
      Http2Headers fields = frame.type() == HEADERS ? headers(frame) : null;
      if (frame.type() == GOAWAY && frame.code() != 0) {
        throw new IOException("GOAWAY " + frame.code());
      }
      if (frame.stream() != stream) {
        continue;
      }
      if (frame.type() == RST_STREAM) {
        return new Answer(status(head), head, body.toString(), trailers, frame.code());
      }
      if (fields != null && (head == null || status(head) < 200)) {
        head = fields;
      } else if (fields != null) {
        trailers = fields;
      } else if (frame.type() == DATA) {
        body.append(new String(frame.payload(), StandardCharsets.ISO_8859_1));
      }
      if (frame.ends()) {
        return new Answer(status(head), head, body.toString(), trailers, -1);
      }
    }
  }

  /** Reads until something of this stream comes. */
  Frame next(int stream) throws IOException {
    while (true) {
      Frame frame = read();
      if (frame.type() == HEADERS) {
        var _ = headers(frame);
      }
      if (frame.stream() == stream) {
        return frame;
      }
    }
  }

  /** Reads until the connection is closed, and gives the code of the GOAWAY; −1 without one. */
  int awaitEnd() {
    int code = -1;
    try {
      while (true) {
        Frame frame = read();
        if (frame.type() == GOAWAY) {
          code = frame.code();
        }
      }
    } catch (java.net.SocketTimeoutException e) {
      throw new AssertionError("the connection is open still", e);
    } catch (IOException e) {
      return code;
    }
  }

  private static int status(Http2Headers head) {
    return head == null ? -1 : Integer.parseInt(head.status().toString());
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
