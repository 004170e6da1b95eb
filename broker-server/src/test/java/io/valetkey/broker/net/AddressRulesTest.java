package io.valetkey.broker.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.net.AddressRules.Verdict;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which addresses a connection may go to. */
class AddressRulesTest {

  private static final AddressRules DESTINATIONS =
      AddressRules.forDestinations(List.of(), Set.of());
  private static final AddressRules ANYTHING =
      AddressRules.forDestinations(List.of(Cidr.parse("0.0.0.0/0"), Cidr.parse("::/0")), Set.of());

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.8.9.1",
        "168.63.129.16",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1"
      })
  void check_whenNotGloballyReachable_refuses(String address) {
    assertThat(DESTINATIONS.check(InetAddress.ofLiteral(address), 443))
        .isEqualTo(Verdict.NOT_PUBLIC);
    assertThat(ANYTHING.check(InetAddress.ofLiteral(address), 443)).isEqualTo(Verdict.ALLOWED);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "128.0.0.1",
        "172.15.255.255",
        "172.32.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00::1"
      })
  void check_whenGloballyReachable_allows(String address) {
    assertThat(DESTINATIONS.check(InetAddress.ofLiteral(address), 443)).isEqualTo(Verdict.ALLOWED);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1"
      })
  void check_whenMetadataService_refusesWhateverIsListed(String address) {
    assertThat(ANYTHING.check(InetAddress.ofLiteral(address), 80)).isEqualTo(Verdict.NEVER);
    assertThat(AddressRules.forIssuers(Set.of()).check(InetAddress.ofLiteral(address), 80))
        .isEqualTo(Verdict.NEVER);
  }

  @Test
  void check_whenForbidden_refusesThatPortAndNoOther() {
    InetAddress loopback = InetAddress.ofLiteral("127.0.0.1");
    AddressRules rules =
        AddressRules.forDestinations(
            List.of(Cidr.parse("127.0.0.0/8")),
            Set.of(
                new InetSocketAddress(loopback, 8200),
                new InetSocketAddress(InetAddress.ofLiteral("127.0.0.2"), 0)));
    assertThat(rules.check(loopback, 8200)).isEqualTo(Verdict.NEVER);
    assertThat(rules.check(loopback, 8443)).isEqualTo(Verdict.ALLOWED);
    assertThat(rules.check(InetAddress.ofLiteral("127.0.0.2"), 8443)).isEqualTo(Verdict.NEVER);
  }

  @ParameterizedTest
  @ValueSource(strings = {"10.0.0.1", "127.0.0.1", "192.168.0.1", "fd00::1", "::1", "1.1.1.1"})
  void forIssuers_allowsPrivateAndPublic(String address) {
    assertThat(AddressRules.forIssuers(Set.of()).check(InetAddress.ofLiteral(address), 443))
        .isEqualTo(Verdict.ALLOWED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"169.254.1.1", "fe80::1", "168.63.129.16", "224.0.0.1", "0.0.0.0"})
  void forIssuers_neverAllowsLinkLocal(String address) {
    assertThat(AddressRules.forIssuers(Set.of()).check(InetAddress.ofLiteral(address), 443))
        .isEqualTo(Verdict.NOT_PUBLIC);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "/",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.1/8",
        "10/8",
        "10.0.0/8",
        "256.0.0.0/8",
        "fe80::/129",
        "fe80::1/10",
        "localhost/8",
        "::ffff:10.0.0.0/104",
        "fe80::%eth0/10",
        "10.0.0.0/8 "
      })
  void parse_whenNotARange_refuses(String text) {
    assertThatThrownBy(() -> Cidr.parse(text)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void contains_comparesBitsAndFamily() {
    assertThat(Cidr.parse("10.128.0.0/9").contains(InetAddress.ofLiteral("10.128.0.1"))).isTrue();
    assertThat(Cidr.parse("10.128.0.0/9").contains(InetAddress.ofLiteral("10.127.0.1"))).isFalse();
    assertThat(Cidr.parse("0.0.0.0/0").contains(InetAddress.ofLiteral("::1"))).isFalse();
    assertThat(Cidr.parse("1.1.1.1/32").contains(InetAddress.ofLiteral("1.1.1.1"))).isTrue();
  }
}
