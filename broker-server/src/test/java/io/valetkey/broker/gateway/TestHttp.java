package io.valetkey.broker.gateway;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** A caller on a plain socket, which can say anything and sees every byte. */
final class TestHttp implements AutoCloseable {

  /** An answer, with its body if it came complete. */
  record Answer(int status, String head, String body) {
    String header(String name) {
      return head.lines()
          .filter(l -> l.toLowerCase(Locale.ROOT).startsWith(name.toLowerCase(Locale.ROOT) + ":"))
          .map(l -> l.substring(name.length() + 1).strip())
          .findFirst()
          .orElse(null);
    }
  }

  final Socket socket;
  final InputStream in;

  TestHttp(int port) throws IOException {
    socket = new Socket("127.0.0.1", port);
    socket.setSoTimeout(10_000);
    in = new BufferedInputStream(socket.getInputStream());
  }

  TestHttp send(String bytes) throws IOException {
    socket.getOutputStream().write(bytes.getBytes(StandardCharsets.ISO_8859_1));
    socket.getOutputStream().flush();
    return this;
  }

  Answer read(boolean headOnly) throws IOException {
    return read(in, headOnly);
  }

  static Answer read(InputStream in, boolean headOnly) throws IOException {
    String head = head(in);
    if (head.isEmpty()) {
      throw new IOException("closed without an answer");
    }
    int status = Integer.parseInt(head.substring(9, 12));
    Answer bare = new Answer(status, head, "");
    if (headOnly || status == 204 || status == 304 || status < 200) {
      return bare;
    }
    String body;
    if ("chunked".equals(bare.header("transfer-encoding"))) {
      body = chunks(in);
    } else {
      int length = Integer.parseInt(bare.header("content-length"));
      byte[] bytes = in.readNBytes(length);
      if (bytes.length < length) {
        throw new IOException("cut");
      }
      body = new String(bytes, StandardCharsets.ISO_8859_1);
    }
    return new Answer(status, head, body);
  }

  Answer read() throws IOException {
    return read(false);
  }

  /** Whether the other side closes, and sends nothing more before it does. */
  boolean isClosed() throws IOException {
    try {
      return in.read() < 0;
    } catch (java.net.SocketException e) {
      return true;
    }
  }

  static String head(InputStream in) throws IOException {
    StringBuilder head = new StringBuilder();
    while (!head.toString().endsWith("\r\n\r\n")) {
      int c = in.read();
      if (c < 0) {
        return "";
      }
      head.append((char) c);
    }
    return head.toString();
  }

  static String chunk(InputStream in) throws IOException {
    StringBuilder size = new StringBuilder();
    int c;
    while ((c = in.read()) != '\n') {
      if (c < 0) {
        throw new IOException("cut");
      }
      size.append((char) c);
    }
    int length = Integer.parseInt(size.toString().strip(), 16);
    byte[] bytes = in.readNBytes(length + 2);
    if (bytes.length < length + 2) {
      throw new IOException("cut");
    }
    return new String(bytes, 0, length, StandardCharsets.ISO_8859_1);
  }

  static String chunks(InputStream in) throws IOException {
    StringBuilder body = new StringBuilder();
    while (true) {
      String chunk = chunk(in);
      if (chunk.isEmpty()) {
        return body.toString();
      }
      body.append(chunk);
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
