package io.valetkey.bench;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** One GET of HTTP/1.1 over a blocking socket, whose answer must be a given body. */
final class PlainGet {

  private static final String LENGTH = "\r\ncontent-length: ";

  private final byte[] request;
  private final String body;

  PlainGet(String path, String authorization, String body) {
    this.request =
        ("GET "
                + path
                + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
                + authorization
                + "\r\n\r\n")
            .getBytes(StandardCharsets.ISO_8859_1);
    this.body = body;
  }

  /**
   * Asks and reads the whole answer. Safe for many threads.
   *
   * @throws IOException if it is not the right one
   */
  void once(Socket socket) throws IOException {
    socket.getOutputStream().write(request);
    InputStream in = socket.getInputStream();
    byte[] read = new byte[8192];
    int have = 0;
    String answer = "";
    do {
      int n = in.read(read, have, read.length - have);
      if (n <= 0) {
        throw new IOException("broke off after: " + answer);
      }
      have += n;
      answer = new String(read, 0, have, StandardCharsets.ISO_8859_1);
    } while (!isWhole(answer));
    if (!answer.startsWith("HTTP/1.1 200 ") || !answer.endsWith("\r\n\r\n" + body)) {
      throw new IOException("wrong answer: " + answer);
    }
  }

  private static boolean isWhole(String answer) {
    int head = answer.indexOf("\r\n\r\n");
    if (head < 0) {
      return false;
    }
    String fields = answer.substring(0, head + 2).toLowerCase(Locale.ROOT);
    int at = fields.indexOf(LENGTH);
    if (at < 0) {
      return true; // and not the right one
    }
    int begin = at + LENGTH.length();
    int length = Integer.parseInt(fields.substring(begin, fields.indexOf('\r', begin)));
    return answer.length() >= head + 4 + length;
  }
}
