package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.secret.SecretValue;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.SocketException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPOutputStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * An upstream says back the credential that it really received: in any promised form, anywhere in
 * an answer, in any coding, cut anywhere. It never comes through, and what is harmless does.
 * Invariants: G6, G21.
 */
class ReflectionTest {

  private static final String KEY = "sk-live/51+Abc~\"<&'=>x0";
  private static final String HARMLESS = "harmless words";
  private static final TestCertificates CERTIFICATES = new TestCertificates();

  private static TestUpstream upstream;
  private static TestGateway gateway;

  /** How the upstream writes what it received. */
  enum Form {
    RAW,
    JSON,
    JSON_SLASHES,
    JSON_IN_HTML,
    XML,
    HTML,
    BASE64,
    BASE64_OF_A_PAIR,
    BASE64_IN_THE_MIDDLE,
    BASE64_URL,
    BASE64_URL_IN_THE_MIDDLE,
    FORM_ENCODED,
    PERCENT,
    PERCENT_LOWER;

    String write(String value) {
      String json = value.replace("\\", "\\\\").replace("\"", "\\\"");
      String form = URLEncoder.encode(value, StandardCharsets.UTF_8);
      return switch (this) {
        case RAW -> value;
        case JSON -> json;
        case JSON_SLASHES -> json.replace("/", "\\/");
        case JSON_IN_HTML ->
            json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026");
        case XML -> value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
        case HTML -> XML.write(value).replace("\"", "&quot;").replace("'", "&#39;");
        case BASE64 -> base64(Base64.getEncoder(), value);
        case BASE64_OF_A_PAIR -> base64(Base64.getEncoder(), "u:" + value + ":");
        case BASE64_IN_THE_MIDDLE -> base64(Base64.getEncoder(), "x" + value + "tail");
        case BASE64_URL -> base64(Base64.getUrlEncoder(), value);
        case BASE64_URL_IN_THE_MIDDLE -> base64(Base64.getUrlEncoder(), "xy" + value + "t");
        case FORM_ENCODED -> form;
        case PERCENT -> form.replace("+", "%20").replace("%7E", "~");
        case PERCENT_LOWER ->
            PERCENT
                .write(value)
                .replace("%2F", "%2f")
                .replace("%2B", "%2b")
                .replace("%3C", "%3c")
                .replace("%3D", "%3d")
                .replace("%3E", "%3e");
      };
    }

    private static String base64(Base64.Encoder encoder, String text) {
      return encoder.encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
  }

  /** Where it stands in the answer. */
  enum Place {
    HEADER,
    LOCATION,
    LINK,
    REASON,
    EARLY_HINT,
    BODY,
    ERROR_BODY,
    TRAILER
  }

  /** What is done to the body, and what is said about it; {@code read} if it can be looked into. */
  enum Coding {
    NONE(true, "Content-Type: text/plain\r\n"),
    IDENTITY(true, "Content-Encoding: identity\r\n"),
    GZIP(true, "Content-Encoding: gzip\r\n"),
    X_GZIP(true, "Content-Encoding: X-GZIP\r\n"),
    DEFLATE(false, "Content-Encoding: deflate\r\n"),
    BR(false, "Content-Encoding: br\r\n"),
    ZSTD(false, "Content-Encoding: zstd\r\n"),
    TWICE(false, "Content-Encoding: gzip, gzip\r\n"),
    TWO_LINES(false, "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"),
    WITH_IDENTITY(false, "Content-Encoding: gzip, identity\r\n"),
    UNKNOWN(false, "Content-Encoding: secret\r\n"),
    TRANSFER(false, "Transfer-Encoding: gzip, chunked\r\n"),
    TRANSFER_LAST(false, "Transfer-Encoding: chunked, gzip\r\n"),
    TRANSFER_ALONE(false, "Transfer-Encoding: gzip\r\n"),
    DISGUISED_AS_TEXT(false, "Content-Type: text/html; charset=utf-8\r\n"),
    DISGUISED_AS_JSON(false, "Content-Type: application/problem+json\r\n"),
    DISGUISED(false, "");

    private final boolean read;
    private final String fields;

    Coding(boolean read, String fields) {
      this.read = read;
      this.fields = fields;
    }

    byte[] apply(byte[] text) throws IOException {
      return switch (this) {
        case NONE, IDENTITY -> text;
        case DEFLATE, BR, ZSTD, UNKNOWN -> deflate(text);
        case TWICE, TWO_LINES -> gzip(gzip(text));
        default -> gzip(text);
      };
    }

    private static byte[] gzip(byte[] text) throws IOException {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (var out = new GZIPOutputStream(bytes)) {
        out.write(text);
      }
      return bytes.toByteArray();
    }

    private static byte[] deflate(byte[] text) throws IOException {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (var out = new DeflaterOutputStream(bytes)) {
        out.write(text);
      }
      return bytes.toByteArray();
    }
  }

  /** How the end of the body is told. */
  enum Framing {
    LENGTH,
    CHUNKS,
    CLOSE
  }

  @BeforeContainer
  static void start() throws Exception {
    upstream = new TestUpstream(CERTIFICATES.valid("upstream.test"), (request, out) -> {});
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
    gateway.credential = KEY;
    gateway.refreshedCredential = KEY;
  }

  @AfterContainer
  static void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  @Property(tries = 250, shrinking = ShrinkingMode.OFF)
  void credential_neverComesBack(
      @ForAll Form form,
      @ForAll Place place,
      @ForAll Coding coding,
      @ForAll Framing framing,
      @ForAll("cuts") List<Integer> cuts)
      throws Exception {
    upstream.script =
        (request, out) ->
            new Reflection(form, place, coding, framing, cuts)
                .answer(request.values("authorization").getFirst(), out);

    String answer = all("/v1/reflect");

    assertThat(SecretPatterns.of(SecretValue.of(KEY)))
        .as("what the upstream wrote is one of the forms")
        .anyMatch(form.write(KEY)::contains)
        .noneMatch(answer::contains);
    if (coding.read) {
      assertThat(answer).contains(HARMLESS);
      boolean shown = place != Place.TRAILER && place != Place.EARLY_HINT;
      assertThat(answer.contains("*****")).as(answer).isEqualTo(shown);
    } else {
      // Refused, or cut before anything that was packed.
      assertThat(answer).doesNotContain("\u001f\u008b\b", HARMLESS);
    }
  }

  /** One answer. */
  private record Reflection(
      Form form, Place place, Coding coding, Framing framing, List<Integer> cuts) {

    void answer(String authorization, OutputStream out) throws IOException {
      String echo = form.write(authorization.substring("Bearer ".length()));
      StringBuilder head = new StringBuilder();
      if (place == Place.EARLY_HINT) {
        head.append("HTTP/1.1 103 Early Hints\r\nLink: <").append(echo).append(">\r\n\r\n");
      }
      head.append("HTTP/1.1 ");
      head.append(
          switch (place) {
            case REASON -> "200 you sent " + echo + "\r\n";
            case ERROR_BODY -> "500 Broken\r\n";
            case HEADER -> "200 OK\r\nX-Echo: you sent " + echo + "\r\n";
            case LOCATION ->
                "302 Found\r\nLocation: https://upstream.test:"
                    + upstream.port()
                    + "/v1/x?key="
                    + echo
                    + "\r\n";
            case LINK -> "200 OK\r\nLink: </v1/x?key=" + echo + ">; rel=\"next\"\r\n";
            default -> "200 OK\r\n";
          });
      head.append(coding.fields);
      boolean inBody = place == Place.BODY || place == Place.ERROR_BODY;
      String text = HARMLESS + " {\"you sent\": \"" + (inBody ? echo : "") + "\"} and more";
      write(out, head, coding.apply(text.getBytes(StandardCharsets.ISO_8859_1)), echo);
    }

    private void write(OutputStream out, StringBuilder head, byte[] body, String echo)
        throws IOException {
      boolean transfer = coding.fields.startsWith("Transfer");
      boolean chunks = transfer ? coding.fields.contains("chunked") : framing == Framing.CHUNKS;
      if (chunks && !transfer) {
        head.append("Transfer-Encoding: chunked\r\n");
      } else if (!transfer && framing == Framing.LENGTH) {
        head.append("Content-Length: ").append(body.length).append("\r\n");
      }
      send(out, head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
      int at = 0;
      for (int cut : cuts) {
        int length = Math.min(cut, body.length - at);
        piece(out, body, at, length, chunks);
        at += length;
      }
      piece(out, body, at, body.length - at, chunks);
      if (chunks) {
        String trailer = place == Place.TRAILER ? "X-Echo: " + echo + "\r\n" : "";
        send(out, ("0\r\n" + trailer + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
      } else if (transfer || framing == Framing.CLOSE) {
        throw new IOException("closes, which is the end of the body");
      }
    }

    private static void piece(OutputStream out, byte[] body, int at, int length, boolean chunk)
        throws IOException {
      if (length == 0) {
        return;
      }
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      if (chunk) {
        bytes.writeBytes(
            (Integer.toHexString(length) + "\r\n").getBytes(StandardCharsets.US_ASCII));
      }
      bytes.write(body, at, length);
      if (chunk) {
        bytes.writeBytes(new byte[] {'\r', '\n'});
      }
      send(out, bytes.toByteArray());
    }

    private static void send(OutputStream out, byte[] bytes) throws IOException {
      out.write(bytes);
      out.flush();
    }
  }

  /** Every byte of the answer, chunk sizes taken out. */
  private static String all(String path) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TestHttp caller = gateway.caller()) {
      caller.send(
          "GET /d/up"
              + path
              + " HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer good\r\nConnection: close\r\n\r\n");
      InputStream in = caller.in;
      for (int b = in.read(); b >= 0; b = in.read()) {
        bytes.write(b);
      }
    } catch (SocketException e) {
      // A cut; what came before it counts.
    }
    String all = bytes.toString(StandardCharsets.ISO_8859_1);
    int body = all.indexOf("\r\n\r\n");
    return body >= 0
            && all.substring(0, body)
                .toLowerCase(Locale.ROOT)
                .contains("transfer-encoding: chunked")
        ? all.substring(0, body + 4) + joined(all.substring(body + 4))
        : all;
  }

  private static String joined(String chunks) {
    StringBuilder out = new StringBuilder();
    int at = 0;
    while (at < chunks.length()) {
      int line = chunks.indexOf("\r\n", at);
      int length = line < 0 ? 0 : Integer.parseInt(chunks.substring(at, line), 16);
      if (length == 0) {
        break;
      }
      int from = line + 2;
      out.append(chunks, from, Math.min(chunks.length(), from + length));
      at = from + length + 2;
    }
    return out.toString();
  }

  @Provide
  Arbitrary<List<Integer>> cuts() {
    return Arbitraries.integers().between(0, 40).list().ofMaxSize(12);
  }
}
