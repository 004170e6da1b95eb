package io.valetkey.broker.gateway;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** ClientHellos as no TLS library would write them. */
final class TestClientHello {

  private TestClientHello() {}

  /** One record with a hello that asks for these names, each in an extension of its own. */
  static byte[] naming(String... names) {
    return records(message(List.of(names), new byte[0]), 16_000);
  }

  /** The same in records of this many bytes. */
  static byte[] inRecordsOf(int size, String name) {
    return records(message(List.of(name), new byte[0]), size);
  }

  /** The same with an extension of this type, empty. */
  static byte[] with(int extension, String name) {
    return records(
        message(List.of(name), new byte[] {(byte) (extension >> 8), (byte) extension, 0, 0}),
        16_000);
  }

  /** Two names in one extension. */
  static byte[] withTwoNamesInOne(String first, String second) {
    byte[] both = joined(entry(first), entry(second));
    return records(hello(extension(0, joined(two(both.length), both))), 16_000);
  }

  /** A hello that is larger than any is, with this name. */
  static byte[] huge(String name) {
    return records(message(List.of(name), extension(21, new byte[20_000])), 16_000);
  }

  private static byte[] message(List<String> names, byte[] more) {
    byte[] extensions = new byte[0];
    for (String name : names) {
      byte[] entry = entry(name);
      extensions = joined(extensions, extension(0, joined(two(entry.length), entry)));
    }
    return hello(joined(extensions, more));
  }

  private static byte[] hello(byte[] extensions) {
    byte[] body =
        joined(
            ("\u0003\u0003" + "r".repeat(32) + "\u0000\u0000\u0002\u0013\u0001\u0001\u0000")
                .getBytes(StandardCharsets.ISO_8859_1),
            joined(two(extensions.length), extensions));
    return joined(
        new byte[] {1, (byte) (body.length >> 16), (byte) (body.length >> 8), (byte) body.length},
        body);
  }

  private static byte[] entry(String name) {
    byte[] bytes = name.getBytes(StandardCharsets.ISO_8859_1);
    return joined(new byte[] {0}, joined(two(bytes.length), bytes));
  }

  private static byte[] extension(int type, byte[] content) {
    return joined(two(type), joined(two(content.length), content));
  }

  private static byte[] records(byte[] message, int size) {
    var out = new ByteArrayOutputStream();
    for (int at = 0; at < message.length; at += size) {
      int length = Math.min(size, message.length - at);
      out.writeBytes(new byte[] {22, 3, 1});
      out.writeBytes(two(length));
      out.write(message, at, length);
    }
    return out.toByteArray();
  }

  private static byte[] two(int number) {
    return new byte[] {(byte) (number >> 8), (byte) number};
  }

  private static byte[] joined(byte[] first, byte[] second) {
    var out = new ByteArrayOutputStream();
    out.writeBytes(first);
    out.writeBytes(second);
    return out.toByteArray();
  }
}
