package io.valetkey.helm;

import static io.valetkey.helm.Rendered.each;
import static io.valetkey.helm.Rendered.texts;
import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsHelm;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
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

  @Test
  void neitherRole_mayReachAMetadataService() {
    for (String set : List.of("minimum", "everything")) {
      for (String role : List.of("issuer", "gateway")) {
        JsonNode egress =
            Chart.render(set).one("NetworkPolicy", "v-valetkey-" + role).at("/spec/egress");
        List<JsonNode> blocks =
            each(egress)
                .flatMap(rule -> each(rule.at("/to")))
                .map(to -> to.at("/ipBlock"))
                .filter(block -> block.at("/cidr").asString("").matches("0\\.0\\.0\\.0/0|::/0"))
                .toList();
        assertThat(blocks).isNotEmpty();
        for (JsonNode block : blocks) {
          assertThat(Set.copyOf(texts(block.at("/except"))))
              .containsAnyOf("169.254.0.0/16", "fd00:ec2::254/128");
        }
      }
    }
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
  void extraEgress_isOpenForBothRolesAndNotForAgents() {
    Rendered chart = Chart.render("everything");
    for (String role : List.of("issuer", "gateway")) {
      assertThat(each(chart.one("NetworkPolicy", "v-valetkey-" + role).at("/spec/egress")))
          .anyMatch(rule ->
              rule.at("/to/0/ipBlock/cidr").asString("").equals("10.3.0.7/32")
                  && rule.at("/ports/0/port").asInt() == 6514);
    }
    assertThat(chart.one("NetworkPolicy", "v-valetkey-agents").toString())
        .doesNotContain("10.3.0.7");
  }
}
