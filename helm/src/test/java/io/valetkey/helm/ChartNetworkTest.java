package io.valetkey.helm;

import static io.valetkey.helm.Rendered.each;
import static io.valetkey.helm.Rendered.texts;
import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsHelm;
import java.math.BigInteger;
import java.net.InetAddress;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Who may reach what. */
@NeedsHelm
class ChartNetworkTest {

  static final List<String> SETS = Chart.VALUE_SETS;

  @Test
  void agents_mayReachDnsIssuerAndGatewayAndNothingElse() {
    Rendered chart = Chart.render("tls-in-front");
    JsonNode policy = chart.one("NetworkPolicy", "v-valetkey-agents");
    assertThat(policy.at("/metadata/namespace").asString()).isEqualTo("agents");
    assertThat(policy.at("/spec/podSelector").size()).isZero();
    assertThat(texts(policy.at("/spec/policyTypes"))).containsExactly("Egress");
    List<JsonNode> egress = each(policy.at("/spec/egress")).toList();
    assertThat(egress).hasSize(3);
    assertThat(egress.get(0).at("/to/0/podSelector/matchLabels/k8s-app").asString())
        .isEqualTo("kube-dns");
    for (int i = 1; i < 3; i++) {
      String role = List.of("issuer", "gateway").get(i - 1);
      JsonNode to = egress.get(i).at("/to");
      assertThat(to.size()).isEqualTo(1);
      JsonNode pods = to.at("/0/podSelector/matchLabels");
      assertThat(pods.at("/app.kubernetes.io~1component").asString()).isEqualTo(role);
      assertThat(pods)
          .isEqualTo(
              chart.one("Deployment", "v-valetkey-" + role).at("/spec/selector/matchLabels"));
      assertThat(to.at("/0/namespaceSelector/matchLabels/kubernetes.io~1metadata.name").asString())
          .isEqualTo("valetkey");
      assertThat(egress.get(i).at("/ports").size()).isEqualTo(1);
    }
  }

  @Test
  void agents_areLabelledUnlessAllPodsAre() {
    assertThat(
            Chart.render("everything")
                .one("NetworkPolicy", "v-valetkey-agents")
                .at("/spec/podSelector/matchLabels/valetkey.io~1agent")
                .asString())
        .isEqualTo("true");
    assertThat(
            Chart.template("everything", "--set", "agents.podSelector.valetkey\\.io/agent=null")
                .unsuccessfully())
        .contains("agents.podSelector is empty; say agents.allPods: true");
    assertThat(Chart.template("everything", "--set-json", "agents.namespaces=[]").unsuccessfully())
        .contains("agents.admission.enabled needs agents.namespaces");
  }

  /** 168.63.129.16 is Azure's, 100.100.100.200 Alibaba's, fd00:ec2::254 that of AWS in IPv6. */
  private static final List<String> METADATA =
      List.of("169.254.169.254", "168.63.129.16", "100.100.100.200", "fe80::1", "fd00:ec2::254");

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gateway.privateOrigins={10.1.0.0/16}",
        "gateway.privateOrigins={100.64.0.0/10,fc00::/7,168.0.0.0/6,fd00:ec2::/32}",
        "gateway.privateOrigins={::/0,0.0.0.0/0,100.100.100.128/25,fd00:ec2:0:0:0:0:0:200/119}",
        "networkPolicy.database.cidrs={100.100.0.0/16,fd00::/8}",
        "networkPolicy.privateCidrs={100.0.0.0/8,160.0.0.0/3,fd00:0ec2::0:0/127,fd00:ec2::/96,f000::/4}"
      })
  void neitherRoleNorTheMigration_mayReachAMetadataService(String values) {
    Rendered chart = Chart.render("minimum", "--set", values + ",vault.uri=https://v.example.com");
    List<JsonNode> blocks =
        Stream.of("issuer", "gateway", "migrate")
            .map(role -> chart.one("NetworkPolicy", "v-valetkey-" + role).at("/spec/egress"))
            .flatMap(Rendered::each)
            .flatMap(rule -> each(rule.at("/to")))
            .map(to -> to.at("/ipBlock"))
            .filter(block -> !block.isMissingNode())
            .toList();
    assertThat(blocks).hasSizeGreaterThan(10);
    for (JsonNode block : blocks) {
      String range = block.at("/cidr").asString();
      List<String> except = texts(block.at("/except"));
      // Kubernetes refuses others.
      assertThat(except).as("%s", block).allMatch(e -> liesIn(e, range));
      for (String address : METADATA) {
        assertThat(contains(range, address) && except.stream().noneMatch(e -> contains(e, address)))
            .as("%s is reached by %s", address, block)
            .isFalse();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gateway.privateOrigins={169.254.7.0/24}",
        "gateway.privateOrigins={fd00:0ec2:0::254/128}",
        "networkPolicy.database.cidrs={100.100.100.200/32}"
      })
  void range_thatIsBlocked_isRefused(String values) {
    assertThat(Chart.template("minimum", "--set", values).unsuccessfully())
        .contains("of networkPolicy.blockedCidrs; take that out if it may be reached");
  }

  /** Whether a range is a part of another and not all of it. */
  private static boolean liesIn(String inner, String outer) {
    String[] parts = inner.split("/", -1);
    return Integer.parseInt(parts[1]) > Integer.parseInt(outer.split("/", -1)[1])
        && contains(outer, parts[0]);
  }

  private static boolean contains(String range, String address) {
    String[] parts = range.split("/", -1);
    byte[] network = InetAddress.ofLiteral(parts[0]).getAddress();
    byte[] other = InetAddress.ofLiteral(address).getAddress();
    int behind = network.length * Byte.SIZE - Integer.parseInt(parts[1]);
    return network.length == other.length
        && new BigInteger(1, network)
            .shiftRight(behind)
            .equals(new BigInteger(1, other).shiftRight(behind));
  }

  /** Ports of the rules of a policy that lead to this range. */
  private static List<Integer> ports(Rendered chart, String policy, String cidr) {
    return each(chart.one("NetworkPolicy", policy).at("/spec/egress"))
        .filter(rule ->
            each(rule.at("/to")).anyMatch(to -> to.at("/ipBlock/cidr").asString("").equals(cidr)))
        .flatMap(rule -> each(rule.at("/ports")).map(port -> port.at("/port").asInt()))
        .toList();
  }

  @Test
  void gateway_reachesPrivateRangesOnlyWhereDestinationsMay() {
    Rendered chart =
        Chart.render("everything", "--set", "networkPolicy.upstreams.privatePorts={443,8443}");
    assertThat(ports(chart, "v-valetkey-gateway", "10.1.0.0/16")).containsExactly(443, 8443);
    assertThat(ports(chart, "v-valetkey-gateway", "0.0.0.0/0")).containsExactly(443);
    assertThat(chart.one("NetworkPolicy", "v-valetkey-gateway").toString())
        .contains("\"10.0.0.0/8\"");
    assertThat(ports(Chart.render("minimum"), "v-valetkey-gateway", "10.1.0.0/16")).isEmpty();
  }

  @ParameterizedTest
  @FieldSource("SETS")
  void everyEgressRule_namesWhereToAndWhichPorts(String set) {
    for (JsonNode policy : Chart.render(set).all("NetworkPolicy")) {
      // Not the further egress that somebody wrote as Kubernetes has it.
      boolean agents = policy.at("/metadata/name").asString().endsWith("-agents");
      for (JsonNode rule : policy.at("/spec/egress")) {
        assertThat(rule.at("/to").size()).as("%s", rule).isPositive();
        if (!agents) {
          assertThat(rule.at("/ports").size()).as("%s", rule).isPositive();
        }
      }
    }
  }

  @Test
  void databaseAndVault_areInPrivateRangesUnlessSaidOtherwise() {
    String vault = "vault.uri=https://vault.example.com:8200";
    Rendered chart = Chart.render("minimum", "--set", vault);
    for (String role : List.of("issuer", "gateway")) {
      String policy = "v-valetkey-" + role;
      assertThat(ports(chart, policy, "10.0.0.0/8")).containsExactly(5432, 8200);
      assertThat(ports(chart, policy, "fc00::/7")).containsExactly(5432, 8200);
      for (String anywhere : List.of("0.0.0.0/0", "::/0")) {
        assertThat(ports(chart, policy, anywhere)).doesNotContain(5432, 8200);
      }
    }
    assertThat(ports(chart, "v-valetkey-migrate", "10.0.0.0/8")).containsExactly(5432);
    assertThat(ports(chart, "v-valetkey-migrate", "0.0.0.0/0")).isEmpty();
    Rendered elsewhere =
        Chart.render(
            "minimum",
            "--set",
            vault
                + ",networkPolicy.database.cidrs={192.0.2.7/32}"
                + ",networkPolicy.vault.cidrs={192.0.2.8/32}");
    assertThat(ports(elsewhere, "v-valetkey-gateway", "192.0.2.7/32")).containsExactly(5432);
    assertThat(ports(elsewhere, "v-valetkey-gateway", "192.0.2.8/32")).containsExactly(8200);
    assertThat(ports(elsewhere, "v-valetkey-gateway", "10.0.0.0/8")).isEmpty();
  }

  @Test
  void furtherPorts_whenTheyAreOn_areReachedByAgentsAtTheirRoleAlone() {
    Rendered chart = Chart.render("everything");
    assertThat(each(chart.one("Service", "v-valetkey-gateway").at("/spec/ports")))
        .anyMatch(
            p -> p.at("/port").asInt() == 3128 && p.at("/targetPort").asString().equals("forward"));
    assertThat(each(chart.one("Service", "v-valetkey-issuer").at("/spec/ports")))
        .extracting(p -> p.at("/targetPort").asString())
        .containsExactly("api", "mtls");
    assertThat(opened(chart.one("NetworkPolicy", "v-valetkey-gateway").at("/spec/ingress/0")))
        .containsExactly("gateway", "forward");
    assertThat(opened(chart.one("NetworkPolicy", "v-valetkey-issuer").at("/spec/ingress/0")))
        .containsExactly("api", "mtls");
    List<JsonNode> agents =
        chart.all("NetworkPolicy").stream()
            .filter(policy -> policy.at("/metadata/name").asString().endsWith("-agents"))
            .toList();
    assertThat(agents).hasSize(2);
    for (JsonNode policy : agents) {
      assertThat(each(policy.at("/spec/egress")).map(ChartNetworkTest::opened))
          .contains(List.of("api", "mtls"), List.of("gateway", "forward"));
    }
    for (JsonNode object : Chart.render("minimum").objects()) {
      assertThat(object.toString()).doesNotContain("forward\"", "gateway.forward", "mtls");
    }
  }

  private static List<String> opened(JsonNode rule) {
    return each(rule.at("/ports")).map(port -> port.at("/port").asString()).toList();
  }

  @Test
  void extraEgress_isOpenForItsRoleAlone() {
    Rendered chart = Chart.render("everything");
    assertThat(ports(chart, "v-valetkey-issuer", "10.3.0.7/32")).containsExactly(6514);
    assertThat(ports(chart, "v-valetkey-gateway", "10.4.0.7/32")).containsExactly(8443);
    for (JsonNode policy : chart.all("NetworkPolicy")) {
      String name = policy.at("/metadata/name").asString();
      assertThat(policy.toString().contains("10.3.0.7")).isEqualTo(name.endsWith("-issuer"));
      assertThat(policy.toString().contains("10.4.0.7")).isEqualTo(name.endsWith("-gateway"));
    }
  }
}
