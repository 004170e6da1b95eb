package io.valetkey.broker.net;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Says whether a connection to an address is allowed. Only globally reachable addresses are, unless
 * the operator listed a range; cloud metadata services, the broker itself and what it depends on
 * never are, whatever was listed.
 *
 * <p>IPv4-mapped addresses are judged as the IPv4 address they are; an IPv4 address inside a
 * translated one (NAT64, 6to4) is judged too.
 *
 * @see <a href="https://www.iana.org/assignments/iana-ipv4-special-registry">IANA special-purpose
 *     registries (RFC 6890)</a>
 */
public final class AddressRules {

  /** What may be done with an address. */
  public enum Verdict {
    ALLOWED,
    /** Not globally reachable, and not among the ranges that are allowed nevertheless. */
    NOT_PUBLIC,
    /** A metadata service, ourselves or something we depend on: no setting allows it. */
    NEVER
  }

  private static final List<Cidr> NEVER =
      ranges(
          "169.254.169.254/32",
          "100.100.100.200/32",
          "169.254.170.2/32",
          "169.254.170.23/32",
          "fd00:ec2::254/128",
          "fd00:ec2::23/128");

  private static final List<Cidr> PRIVATE =
      ranges(
          "10.0.0.0/8",
          "100.64.0.0/10",
          "127.0.0.0/8",
          "172.16.0.0/12",
          "192.168.0.0/16",
          "::1/128",
          "fc00::/7");

  /**
   * Special ranges that no setting of ours has a name for; {@code private-origins} may list them.
   */
  private static final List<Cidr> SPECIAL =
      ranges(
          "0.0.0.0/8",
          "168.63.129.16/32", // Azure's host
          "169.254.0.0/16", // link-local
          "192.0.0.0/24", // IETF protocol assignments
          "192.0.2.0/24", // documentation
          "192.88.99.0/24", // 6to4 relays
          "198.18.0.0/15", // benchmarks
          "198.51.100.0/24", // documentation
          "203.0.113.0/24", // documentation
          "224.0.0.0/4", // multicast
          "240.0.0.0/4", // reserved, broadcast
          "2001::/23", // Teredo and other protocol assignments
          "2001:db8::/32", // documentation
          "2002::/16", // 6to4
          "3fff::/20"); // documentation

  /** All of IPv6 that is handed out as global unicast; loopback, NAT64 and the rest lie outside. */
  private static final Cidr GLOBAL_V6 = Cidr.parse("2000::/3");

  private static final Cidr NAT64 = Cidr.parse("64:ff9b::/96");
  private static final Cidr SIX_TO_FOUR = Cidr.parse("2002::/16");

  private final List<Cidr> allowed;
  private final Set<InetSocketAddress> forbidden;

  private AddressRules(List<Cidr> allowed, Set<InetSocketAddress> forbidden) {
    this.allowed = List.copyOf(allowed);
    this.forbidden = Set.copyOf(forbidden);
  }

  /**
   * The rules for destinations.
   *
   * @param privateOrigins ranges that are allowed although they are not public
   * @param forbidden ourselves, Vault, the database; port 0 means every port
   */
  public static AddressRules forDestinations(
      List<Cidr> privateOrigins, Set<InetSocketAddress> forbidden) {
    return new AddressRules(privateOrigins, forbidden);
  }

  /**
   * The rules for the key and review addresses of issuers: private ones are allowed, because
   * clusters are; link-local and metadata ones are not.
   *
   * @param forbidden as for destinations
   */
  public static AddressRules forIssuers(Set<InetSocketAddress> forbidden) {
    return new AddressRules(PRIVATE, forbidden);
  }

  /** Judges an address and port. */
  public Verdict check(InetAddress address, int port) {
    byte[] bytes = unmapped(address.getAddress());
    byte[] embedded = embedded(bytes);
    if (in(NEVER, bytes) || in(NEVER, embedded) || isForbidden(bytes, port)) {
      return Verdict.NEVER;
    }
    if (in(allowed, bytes) || isPublic(bytes)) {
      return Verdict.ALLOWED;
    }
    return Verdict.NOT_PUBLIC;
  }

  /** Whether an address and port may be connected to; port 0 stands for none in particular. */
  public boolean allows(InetAddress address, int port) {
    return check(address, port) == Verdict.ALLOWED;
  }

  private boolean isForbidden(byte[] address, int port) {
    for (InetSocketAddress endpoint : forbidden) {
      InetAddress other = endpoint.getAddress();
      if (other != null
          && Arrays.equals(unmapped(other.getAddress()), address)
          && (endpoint.getPort() == 0 || endpoint.getPort() == port)) {
        return true;
      }
    }
    return false;
  }

  private static boolean isPublic(byte[] address) {
    if (in(PRIVATE, address) || in(SPECIAL, address)) {
      return false;
    }
    return address.length == 4 || GLOBAL_V6.contains(address);
  }

  private static boolean in(List<Cidr> ranges, byte[] address) {
    for (Cidr range : ranges) {
      if (range.contains(address)) {
        return true;
      }
    }
    return false;
  }

  private static byte[] unmapped(byte[] address) {
    if (address.length != 16 || address[10] != -1 || address[11] != -1) {
      return address;
    }
    for (int i = 0; i < 10; i++) {
      if (address[i] != 0) {
        return address;
      }
    }
    return Arrays.copyOfRange(address, 12, 16);
  }

  /** The IPv4 address that a translator would connect to; the address itself if there is none. */
  private static byte[] embedded(byte[] address) {
    if (NAT64.contains(address)) {
      return Arrays.copyOfRange(address, 12, 16);
    }
    return SIX_TO_FOUR.contains(address) ? Arrays.copyOfRange(address, 2, 6) : address;
  }

  private static List<Cidr> ranges(String... texts) {
    return Arrays.stream(texts).map(Cidr::parse).toList();
  }
}
