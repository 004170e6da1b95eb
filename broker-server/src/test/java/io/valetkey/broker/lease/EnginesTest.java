package io.valetkey.broker.lease;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.realparts.NeedsKubernetes;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealKubernetes;
import io.valetkey.realparts.RealVault;
import io.valetkey.realparts.TestAuthority;
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateFactory;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The other engines, each with the real thing behind it. Invariants: P3, L6. */
@NeedsVault
class EnginesTest {

  private static final Duration P3 = Duration.ofSeconds(30);

  private static RealVault vault;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    vault = RealVault.startOwn();
    String token = LeaseWorld.brokerToken(vault);
    broker = RunningBroker.start(LeaseWorld.settings(vault.uri().toString(), token));
    new Policies(broker)
        .issuer(LeaseWorld.ISSUER)
        .agent("bot", LeaseWorld.ISSUER.name(), "bot-subject", "")
        .await(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
    vault.close();
  }

  /** A destination that the agent may lease, and the policy of its owner tokens. */
  private static void grant(String name, String destination, String mount, String role, String path)
      throws Exception {
    vault.policy(
        "valetkey-lease-" + mount + "-" + role,
        "path \"" + path + "\" { capabilities = [\"read\", \"create\", \"update\"] }");
    new Policies(broker)
        .destination(name, destination)
        .scope(name, "use", "{\"lease\":{\"maxTtl\":\"20m\"}}")
        .grant("bot-" + name, "bot", name, List.of("use"))
        .await(broker);
  }

  private static Answer lease(String destination) throws Exception {
    Answer lease =
        LeaseWorld.lease(
            broker.url(),
            LeaseWorld.token(broker.url(), "bot-subject", destination),
            null,
            "{\"destination\":\"" + destination + "\"}");
    assertThat(lease.status()).as(lease.body().path("detail").asString("")).isEqualTo(201);
    return lease;
  }

  private static void release(Answer lease, String destination) throws Exception {
    Answer released =
        LeaseWorld.send(
            "DELETE",
            broker.url() + "/v1/leases/" + lease.id(),
            LeaseWorld.token(broker.url(), "bot-subject", destination),
            null);
    assertThat(released.status()).isEqualTo(204);
  }

  @Test
  void mysql_loginEndsWithItsOpenSession() throws Exception {
    try (MariaDatabase database = new MariaDatabase()) {
      database.configure(vault);
      grant(
          "orders-my",
          """
          {"kind":"lease","origin":"%s","credential":{"source":"vault-dynamic","mount":"my","role":"reader"}}
          """
              .formatted(database.origin()),
          "my",
          "reader",
          "my/creds/reader");

      Answer lease = lease("orders-my");

      assertThat(lease.body().at("/credential/type").asString()).isEqualTo("mysql");
      try (Connection session = database.connect(lease.username(), lease.password())) {
        session.createStatement().executeQuery("SELECT * FROM orders.orders").close();
        assertThatThrownBy(
                () -> session.createStatement().execute("INSERT INTO orders.orders VALUES (3)"))
            .isInstanceOf(SQLException.class)
            .hasMessageContaining("denied");
        release(lease, "orders-my");
        assertThatThrownBy(() -> session.createStatement().executeQuery("SELECT 1"))
            .isInstanceOf(SQLException.class);
      }
      assertThatThrownBy(() -> database.connect(lease.username(), lease.password()))
          .isInstanceOf(SQLException.class);
    }
  }

  @Test
  void pki_certificateIsOnTheRevocationListAfterItsRelease() throws Exception {
    vault.send("POST", "sys/mounts/pki", Map.of("type", "pki"));
    vault.send(
        "POST", "pki/root/generate/internal", Map.of("common_name", "test root", "ttl", "24h"));
    vault.send(
        "POST",
        "pki/roles/agents",
        Map.of("allowed_domains", "agents.test", "allow_subdomains", true, "generate_lease", true));
    grant(
        "mtls",
        """
        {"kind":"lease","origin":"https://internal.test","credential":{"source":"vault-dynamic","mount":"pki",
         "role":"agents","engine":"pki","parameters":{"common_name":"bot.agents.test"}}}
        """,
        "pki",
        "agents",
        "pki/issue/agents");

    Answer lease = lease("mtls");

    var certificates = CertificateFactory.getInstance("X.509");
    X509Certificate certificate =
        (X509Certificate)
            certificates.generateCertificate(
                bytes(lease.body().at("/credential/certificate").asString()));
    assertThat(certificate.getSubjectX500Principal().getName()).isEqualTo("CN=bot.agents.test");
    assertThat(lease.body().at("/credential/private_key").asString()).contains("PRIVATE KEY");
    assertThat(revoked(certificates, certificate)).isFalse();
    release(lease, "mtls");
    await("it is on the list", P3, () -> revoked(certificates, certificate));
  }

  private static ByteArrayInputStream bytes(String text) {
    return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
  }

  private static boolean revoked(CertificateFactory certificates, X509Certificate certificate) {
    try {
      byte[] list =
          HttpClient.newHttpClient()
              .send(
                  HttpRequest.newBuilder(URI.create(vault.uri() + "/v1/pki/crl")).build(),
                  BodyHandlers.ofByteArray())
              .body();
      return ((X509CRL) certificates.generateCRL(new ByteArrayInputStream(list)))
          .isRevoked(certificate);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void pkiRoleWithoutLeases_isRefused_becauseNothingCouldBeTakenBack() throws Exception {
    vault.send("POST", "sys/mounts/pki2", Map.of("type", "pki"));
    vault.send(
        "POST", "pki2/root/generate/internal", Map.of("common_name", "test root", "ttl", "24h"));
    vault.send(
        "POST",
        "pki2/roles/agents",
        Map.of("allowed_domains", "agents.test", "allow_subdomains", true));
    grant(
        "mtls2",
        """
        {"kind":"lease","origin":"https://internal.test","credential":{"source":"vault-dynamic","mount":"pki2",
         "role":"agents","engine":"pki","parameters":{"common_name":"bot.agents.test"}}}
        """,
        "pki2",
        "agents",
        "pki2/issue/agents");

    Answer refused =
        LeaseWorld.lease(
            broker.url(),
            LeaseWorld.token(broker.url(), "bot-subject", "mtls2"),
            null,
            "{\"destination\":\"mtls2\"}");

    assertThat(refused.status()).isEqualTo(503);
    assertThat(refused.code()).isEqualTo("credential_unavailable");
  }

  @Test
  @NeedsKubernetes
  void kubernetes_tokenOfAMadeAccount_endsWithTheAccount(@TempDir Path folder) throws Exception {
    try (RealKubernetes cluster = RealKubernetes.start()) {
      cluster.createNamespace("team-a");
      cluster.createServiceAccount("default", "vault");
      cluster.send(
          "POST",
          "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
          Map.of(
              "metadata",
              Map.of("name", "vault"),
              "roleRef",
              Map.of(
                  "apiGroup", "rbac.authorization.k8s.io",
                  "kind", "ClusterRole",
                  "name", "cluster-admin"),
              "subjects",
              List.of(Map.of("kind", "ServiceAccount", "name", "vault", "namespace", "default"))));
      vault.send("POST", "sys/mounts/kubernetes", Map.of("type", "kubernetes"));
      vault.send(
          "POST",
          "kubernetes/config",
          Map.of(
              "kubernetes_host",
              cluster.uri().toString(),
              "kubernetes_ca_cert",
              cluster.caPem(),
              "service_account_jwt",
              cluster.createToken("default", "vault", cluster.issuer(), Duration.ofHours(1)),
              "disable_local_ca_jwt",
              true));
      vault.send(
          "POST",
          "kubernetes/roles/viewer",
          Map.of(
              "allowed_kubernetes_namespaces",
              List.of("team-a"),
              "kubernetes_role_name",
              "cluster-admin",
              "kubernetes_role_type",
              "ClusterRole"));
      grant(
          "cluster",
          """
          {"kind":"lease","origin":"%s","credential":{"source":"vault-dynamic","mount":"kubernetes",
           "role":"viewer","engine":"kubernetes","parameters":{"kubernetes_namespace":"team-a"}}}
          """
              .formatted(cluster.uri()),
          "kubernetes",
          "viewer",
          "kubernetes/creds/viewer");

      Answer lease = lease("cluster");

      Path authority = folder.resolve("ca.pem");
      Files.writeString(authority, cluster.caPem());
      HttpClient client =
          HttpClient.newBuilder().sslContext(TestAuthority.trusting(authority)).build();
      URI pods = cluster.uri().resolve("/api/v1/namespaces/team-a/pods");
      String token = lease.body().at("/credential/token").asString();
      assertThat(status(client, pods, token)).isEqualTo(200);
      release(lease, "cluster");
      await("the token is refused", P3, () -> status(client, pods, token) == 401);
    }
  }

  private static int status(HttpClient client, URI uri, String token) {
    try {
      return client
          .send(
              HttpRequest.newBuilder(uri).header("Authorization", "Bearer " + token).build(),
              BodyHandlers.discarding())
          .statusCode();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
