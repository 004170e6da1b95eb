package io.valetkey.broker.net;

import java.net.InetAddress;
import java.util.Arrays;

/**
 * A range of addresses of one family, such as {@code 10.0.0.0/8} (RFC 4632, RFC 4291 section 2.3).
 */
public final class Cidr {

  private final byte[] network;
  private final int prefix;

  private Cidr(byte[] network, int prefix) {
    this.network = network;
    this.prefix = prefix;
  }

  /**
   * Reads a range. Strict: an address literal, a slash, a decimal prefix length, no host bits.
   *
   * @throws IllegalArgumentException with one sentence for the person who wrote it
   */
  public static Cidr parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 0) {
      throw new IllegalArgumentException("'" + text + "' has no prefix length such as /24.");
    }
    byte[] network = literal(text, text.substring(0, slash));
    int prefix = prefix(text, text.substring(slash + 1), network.length * 8);
    for (int bit = prefix; bit < network.length * 8; bit++) {
      if ((network[bit / 8] & (0x80 >> (bit % 8))) != 0) {
        throw new IllegalArgumentException("'" + text + "' has bits set beyond its prefix.");
      }
    }
    return new Cidr(network, prefix);
  }

  /** Whether the address lies in the range; never for one of the other family. */
  public boolean contains(InetAddress address) {
    return contains(address.getAddress());
  }

  boolean contains(byte[] address) {
    if (address.length != network.length) {
      return false;
    }
    int whole = prefix / 8;
    if (Arrays.mismatch(address, 0, whole, network, 0, whole) >= 0) {
      return false;
    }
    int mask = 0xff00 >> (prefix % 8) & 0xff;
    return mask == 0 || ((address[whole] ^ network[whole]) & mask) == 0;
  }

  private static byte[] literal(String text, String address) {
    boolean v4 = address.matches("[0-9]{1,3}(\\.[0-9]{1,3}){3}");
    boolean v6 = address.matches("[0-9a-fA-F:.]+") && address.indexOf(':') >= 0;
    if (v4 || v6) {
      try {
        byte[] bytes = InetAddress.ofLiteral(address).getAddress();
        // An IPv4-mapped literal comes back as IPv4, and its prefix would mean something else.
        if (bytes.length == (v4 ? 4 : 16)) {
          return bytes;
        }
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("'" + text + "' has no valid address.", e);
      }
    }
    throw new IllegalArgumentException("'" + text + "' has no valid address.");
  }

  private static int prefix(String text, String digits, int most) {
    int prefix = digits.matches("0|[1-9][0-9]{0,2}") ? Integer.parseInt(digits) : most + 1;
    if (prefix > most) {
      throw new IllegalArgumentException(
          "'" + text + "' needs a prefix length from 0 to " + most + ".");
    }
    return prefix;
  }
}
