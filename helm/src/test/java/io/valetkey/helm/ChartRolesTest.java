package io.valetkey.helm;

import static io.valetkey.helm.ChartTest.settings;
import static io.valetkey.helm.Rendered.each;
import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.NeedsHelm;
import java.util.List;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** What one role has that the other has not. */
@NeedsHelm
class ChartRolesTest {

  private static JsonNode pod(Rendered chart, String role) {
    return chart.one("Deployment", "v-valetkey-" + role).at("/spec/template/spec");
  }

  @Test
  void credentialsOfDestinations_areAtTheGatewayOnly() {
    Rendered chart = Chart.render("everything");
    assertThat(pod(chart, "gateway").toString()).contains("\"secretName\":\"credentials\"");
    assertThat(settings(chart, "gateway"))
        .containsEntry("valetkey.file-source.directory", "/run/valetkey/credentials");
    assertThat(pod(chart, "issuer").toString()).doesNotContain("credentials");
    assertThat(settings(chart, "issuer")).doesNotContainKey("valetkey.file-source.directory");
  }

  @Test
  void consoleSignsIn_atTheIssuerAlone_withASecretThatIsAFile() {
    Rendered chart = Chart.render("everything");
    JsonNode volume = named(pod(chart, "issuer").at("/volumes"), "console-client");
    JsonNode mount = named(pod(chart, "issuer").at("/containers/0/volumeMounts"), "console-client");
    assertThat(volume.at("/secret/secretName").asString()).isEqualTo("valetkey-console-client");
    assertThat(settings(chart, "issuer"))
        .containsEntry("valetkey.admin.oidc.role-mapping", "platform=admin,on call=operator")
        .containsEntry("valetkey.console.oidc.client-id", "valetkey-console")
        .containsEntry("valetkey.console.oidc.scopes", "openid,groups")
        .containsEntry(
            "valetkey.console.oidc.client-secret-file",
            mount.at("/mountPath").asString() + "/" + volume.at("/secret/items/0/path").asString());
    assertThat(pod(chart, "gateway").toString()).doesNotContain("console-client");
    assertThat(settings(chart, "gateway").keySet().toString()).doesNotContain("oidc");
    Rendered minimum = Chart.render("minimum");
    assertThat(pod(minimum, "issuer").toString()).doesNotContain("console-client");
    assertThat(settings(minimum, "issuer").keySet().toString()).doesNotContain("oidc");
  }

  @Test
  void auditKey_isAFileOfTheIssuerAndNowhereElse() {
    Rendered chart = Chart.render("everything");
    JsonNode volume = named(pod(chart, "issuer").at("/volumes"), "audit-key");
    JsonNode mount = named(pod(chart, "issuer").at("/containers/0/volumeMounts"), "audit-key");
    assertThat(volume.at("/secret/secretName").asString()).isEqualTo("valetkey-audit-key");
    assertThat(settings(chart, "issuer"))
        .containsEntry(
            "valetkey.audit.signing-key",
            mount.at("/mountPath").asString() + "/" + volume.at("/secret/items/0/path").asString());
    assertThat(pod(chart, "gateway").toString()).doesNotContain("audit-key");
    assertThat(settings(chart, "gateway")).doesNotContainKey("valetkey.audit.signing-key");
    assertThat(chart.one("Job", "v-valetkey-migrate").toString()).doesNotContain("audit-key");
    assertThat(settings(Chart.render("minimum"), "issuer"))
        .doesNotContainKey("valetkey.audit.signing-key");
  }

  @Test
  void hostsOfDestinations_leadToTheGatewayAlone() {
    Rendered chart =
        Chart.render(
            "everything",
            "--set",
            "tls.certManager.enabled=true,tls.certManager.issuerRef.name=ca",
            "--set",
            "tls.gateway.existingSecret=,tls.issuer.existingSecret=,gateway.ingress.tlsSecret=wild");
    String wildcard = "*.destinations.example.com";
    assertThat(settings(chart, "gateway"))
        .containsEntry("valetkey.gateway.host-suffix", "destinations.example.com");
    assertThat(chart.one("Certificate", "v-valetkey-gateway").at("/spec/dnsNames").toString())
        .contains(wildcard);
    JsonNode ingress = chart.one("Ingress", "v-valetkey-gateway").at("/spec");
    assertThat(ingress.at("/tls/0/hosts/1").asString()).isEqualTo(wildcard);
    assertThat(ingress.at("/rules/1/host").asString()).isEqualTo(wildcard);
    assertThat(ingress.at("/rules/1/http")).isEqualTo(ingress.at("/rules/0/http"));
    for (String kind : List.of("Certificate", "Ingress")) {
      assertThat(chart.one(kind, "v-valetkey-issuer").toString()).doesNotContain(wildcard);
    }
    assertThat(settings(Chart.render("minimum"), "gateway"))
        .doesNotContainKey("valetkey.gateway.host-suffix");
  }

  private static JsonNode named(JsonNode all, String name) {
    return each(all).filter(n -> n.at("/name").asString().equals(name)).findFirst().orElseThrow();
  }

  /** Replicas that each made their own would each have to be trusted. */
  @Test
  void interceptionAuthority_isAFileOfTheGatewayAndNeeded() {
    Rendered chart = Chart.render("everything");
    assertThat(settings(chart, "gateway"))
        .containsEntry("valetkey.gateway.forward.port", "8092")
        .containsEntry("valetkey.gateway.forward.ca-bundle", "interception")
        .containsEntry(
            "spring.ssl.bundle.pem.interception.keystore.private-key",
            "/run/valetkey/interception/tls.key");
    assertThat(chart.one("Deployment", "v-valetkey-gateway").toString())
        .contains(
            "\"secretName\":\"interception-ca\"", "\"mountPath\":\"/run/valetkey/interception\"");
    assertThat(settings(chart, "issuer").keySet())
        .noneMatch(name -> name.contains("forward") || name.contains("interception"));
    assertThat(chart.one("Deployment", "v-valetkey-issuer").toString())
        .doesNotContain("interception");
    assertThat(Chart.template("minimum", "--set", "gateway.forward.enabled=true").unsuccessfully())
        .contains(
            "gateway.forward.enabled needs gateway.forward.authority.existingSecret or .vaultPki");
    Rendered vault =
        Chart.render(
            "everything",
            "--set",
            "gateway.forward.authority.vaultPki=pki/agents,gateway.forward.authority.domains={a.example,b.example}");
    assertThat(settings(vault, "gateway"))
        .containsEntry("valetkey.gateway.forward.ca-vault-pki", "pki/agents")
        .containsEntry("valetkey.gateway.forward.ca-domains", "a.example,b.example")
        .doesNotContainKey("valetkey.gateway.forward.ca-bundle");
    assertThat(vault.one("Deployment", "v-valetkey-gateway").toString())
        .doesNotContain("interception");
  }

  @Test
  void clientCertificates_areAskedForByBothRoles_withCertificatesOfTheirOwn() {
    Rendered chart = Chart.render("everything");
    assertThat(settings(chart, "issuer"))
        .containsEntry("valetkey.mtls.port", "8443")
        .containsEntry("valetkey.mtls.public-url", "https://mtls.example.com")
        .containsEntry("valetkey.mtls.ssl-bundle", "issuer")
        .doesNotContainKey("valetkey.gateway.client-certificates");
    assertThat(settings(chart, "gateway"))
        .containsEntry("valetkey.gateway.client-certificates", "true")
        .doesNotContainKey("valetkey.mtls.port");
    assertThat(settings(Chart.render("minimum", "--set", "issuer.mtls.enabled=true"), "issuer"))
        .containsEntry("valetkey.mtls.public-url", "https://v-valetkey-issuer.valetkey.svc:8443");
    assertThat(Chart.template("tls-in-front", "--set", "issuer.mtls.enabled=true").unsuccessfully())
        .contains("issuer.mtls.enabled needs a certificate of the issuer");
  }

  @Test
  void vault_isLoggedInToByEachRoleAsItself() {
    Rendered kubernetes = Chart.render("everything");
    assertThat(settings(kubernetes, "issuer")).containsEntry("valetkey.vault.role", "leases");
    assertThat(settings(kubernetes, "gateway")).containsEntry("valetkey.vault.role", "credentials");
    Rendered unnamed = Chart.render("minimum", "--set", "vault.uri=https://vault.example.com:8200");
    for (String role : List.of("issuer", "gateway")) {
      assertThat(settings(unnamed, role)).containsEntry("valetkey.vault.role", "valetkey-" + role);
      assertThat(pod(unnamed, role).at("/serviceAccountName").asString())
          .isEqualTo("v-valetkey-" + role);
    }
  }

  @Test
  void vault_isNothingToARoleWithoutALogin() {
    Rendered gatewayOnly = Chart.render("tls-in-front");
    assertThat(settings(gatewayOnly, "gateway"))
        .containsEntry("valetkey.vault.role-id", "gateway")
        .containsEntry("valetkey.vault.secret-id-file", "/run/valetkey/vault/secret-id");
    assertThat(pod(gatewayOnly, "gateway").toString()).contains("vault-login");
    assertThat(settings(gatewayOnly, "issuer").keySet())
        .noneMatch(name -> name.startsWith("valetkey.vault."));
    assertThat(pod(gatewayOnly, "issuer").toString()).doesNotContain("vault");
    assertThat(gatewayOnly.one("NetworkPolicy", "v-valetkey-gateway").toString()).contains("8200");
    assertThat(gatewayOnly.one("NetworkPolicy", "v-valetkey-issuer").toString())
        .doesNotContain("8200");
  }

  @Test
  void whatIsGivenToOneRole_isNotAtTheOther() {
    Rendered chart = Chart.render("everything");
    assertThat(pod(chart, "issuer").toString())
        .contains("issuers-own", "audit-sinks", "/run/valetkey/sinks", "client-key", "/extra")
        .doesNotContain("gateways-own", "/own\"");
    assertThat(pod(chart, "gateway").toString())
        .contains("gateways-own", "/own\"", "client-key", "/extra")
        .doesNotContain("issuers-own", "audit-sinks", "/run/valetkey/sinks");
    assertThat(settings(chart, "issuer"))
        .containsKey("valetkey.audit.sinks.webhook.url")
        .containsEntry("valetkey.stop.staleness", "4s")
        .containsEntry("valetkey.issuance.tokens-per-minute", "100")
        .doesNotContainKey("valetkey.credential.ttl");
    assertThat(settings(chart, "gateway"))
        .containsEntry("valetkey.credential.ttl", "4m")
        .containsEntry("valetkey.stop.staleness", "5s")
        .containsEntry("valetkey.issuance.tokens-per-minute", "100")
        .doesNotContainKey("valetkey.audit.sinks.webhook.url");
    assertThat(chart.one("Job", "v-valetkey-migrate").toString())
        .contains("/extra")
        .doesNotContain("issuers-own", "gateways-own", "audit-sinks");
  }

  @Test
  void ownersLogin_isInTheMigrationOnlyUnlessAskedForOtherwise() {
    Rendered chart = Chart.render("minimum", "--set", "migrations.existingSecret=valetkey-owner");
    assertThat(chart.all("Deployment").toString())
        .doesNotContain("spring.flyway.password", "valetkey-owner");
    assertThat(chart.one("Job", "v-valetkey-migrate").toString()).contains("valetkey-owner");
    for (Rendered each : List.of(chart, Chart.render("tls-in-front"))) {
      assertThat(settings(each, "issuer")).containsEntry("valetkey.migrations", "external");
      assertThat(settings(each, "gateway")).containsEntry("valetkey.migrations", "external");
    }
  }

  @Test
  void ownersLogin_whenIssuersMigrateAtTheirStart_isNotAtGateways() {
    Rendered chart =
        Chart.render(
            "minimum", "--set", "migrations.mode=start,migrations.existingSecret=valetkey-owner");
    assertThat(chart.all("Job")).isEmpty();
    assertThat(pod(chart, "issuer").toString())
        .contains("spring.flyway.password", "valetkey-owner");
    assertThat(settings(chart, "issuer")).doesNotContainKey("valetkey.migrations");
    assertThat(pod(chart, "gateway").toString())
        .doesNotContain("spring.flyway.password", "valetkey-owner");
    assertThat(settings(chart, "gateway")).containsEntry("valetkey.migrations", "external");
  }
}
