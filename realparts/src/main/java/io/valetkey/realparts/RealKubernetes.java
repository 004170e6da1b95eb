package io.valetkey.realparts;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A real Kubernetes API server with its etcd on loopback ports: ServiceAccounts, TokenRequest,
 * TokenReview, RBAC and admission work; no node runs, so pods exist and stay pending. It ends with
 * this JVM at the latest.
 */
public final class RealKubernetes implements AutoCloseable {

  private final Path folder = RealVault.temporaryFolder();
  private final TestAuthority authority = TestAuthority.create("kubernetes");
  private final URI uri = URI.create("https://127.0.0.1:" + ChildProcess.freePort());
  private final KeyPair tokenKey = rsaKey();
  private final ChildProcess etcd;
  private final ChildProcess server;
  private final JsonApi api;

  private RealKubernetes(Path apiServer) {
    URI etcdUri = URI.create("http://127.0.0.1:" + ChildProcess.freePort());
    URI peerUri = URI.create("http://127.0.0.1:" + ChildProcess.freePort());
    this.etcd =
        ChildProcess.start(
            "etcd",
            folder,
            Map.of(),
            List.of(
                apiServer.resolveSibling("etcd").toString(),
                "--data-dir=" + folder.resolve("etcd"),
                "--unsafe-no-fsync",
                "--listen-client-urls=" + etcdUri,
                "--advertise-client-urls=" + etcdUri,
                "--listen-peer-urls=" + peerUri,
                "--initial-advertise-peer-urls=" + peerUri,
                "--initial-cluster=default=" + peerUri));
    try (JsonApi etcdApi = new JsonApi(etcdUri, null, Map.of())) {
      etcd.awaitReady(Duration.ofSeconds(30), () -> etcdApi.isUp("/health"));
    }
    this.server =
        ChildProcess.start("kube-apiserver", folder, Map.of(), command(apiServer, etcdUri));
    this.api =
        new JsonApi(
            uri, authority.trustAs(authority.client("O=system:masters,CN=admin")), Map.of());
    try {
      server.awaitReady(Duration.ofSeconds(90), () -> api.isUp("/readyz"));
    } catch (RuntimeException e) {
      etcd.close();
      throw e;
    }
  }

  /**
   * Starts one; builds the programs if they are not there yet.
   *
   * @throws MissingPartException if none can be had on this machine
   */
  public static RealKubernetes start() {
    return new RealKubernetes(Program.KUBERNETES.built());
  }

  /** The API server's address. */
  public URI uri() {
    return uri;
  }

  /**
   * The {@code iss} of its tokens: its own address, so that its keys can be found by discovery.
   * Reading the discovery document takes the token of a ServiceAccount.
   */
  public String issuer() {
    return uri.toString();
  }

  /** PEM of the authority that signed the API server's certificate. */
  public String caPem() {
    return authority.pem();
  }

  /** Writes a kubeconfig of the cluster administrator, for kubectl and helm. */
  public Path writeKubeconfig(Path inFolder) {
    Path certificate =
        authority.client("O=system:masters,CN=admin").writePem(inFolder, "cluster-admin");
    try {
      return Files.writeString(
          inFolder.resolve("kubeconfig"),
          """
          apiVersion: v1
          kind: Config
          clusters: [{ name: real, cluster: { server: "%s", certificate-authority: "%s" } }]
          users: [{ name: admin, user: { client-certificate: "%s", client-key: "%s" } }]
          contexts: [{ name: real, context: { cluster: real, user: admin } }]
          current-context: real
          """
              .formatted(
                  uri,
                  authority.writePem(inFolder),
                  certificate,
                  inFolder.resolve("cluster-admin.key")));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The keys that its tokens are signed with, as a JWK set. */
  public String jwks() {
    return send("GET", "/openid/v1/jwks", null).toString();
  }

  /** Makes a namespace. */
  public void createNamespace(String name) {
    send("POST", "/api/v1/namespaces", Map.of("metadata", Map.of("name", name)));
  }

  /** Makes a ServiceAccount and answers its uid. */
  public String createServiceAccount(String namespace, String name) {
    return uid(
        send(
            "POST",
            "/api/v1/namespaces/" + namespace + "/serviceaccounts",
            Map.of("metadata", Map.of("name", name))));
  }

  /**
   * Deletes a ServiceAccount: its tokens still verify by signature, and TokenReview refuses them.
   * Not at once: the API server remembers for 10 seconds that it accepted a token.
   */
  public void deleteServiceAccount(String namespace, String name) {
    send("DELETE", "/api/v1/namespaces/" + namespace + "/serviceaccounts/" + name, null);
  }

  /** Makes a pod, which stays pending, and answers its uid. */
  public String createPod(String namespace, String name, String serviceAccount) {
    Map<String, Object> container = Map.of("name", "agent", "image", "agent.test/agent:1");
    return uid(
        send(
            "POST",
            "/api/v1/namespaces/" + namespace + "/pods",
            Map.of(
                "metadata",
                Map.of("name", name),
                "spec",
                Map.of(
                    "serviceAccountName",
                    serviceAccount,
                    "automountServiceAccountToken",
                    false,
                    "containers",
                    List.of(container)))));
  }

  /**
   * Deletes a pod at once: tokens that are bound to it are refused by TokenReview, after the 10
   * seconds for which the API server remembers that it accepted one.
   */
  public void deletePod(String namespace, String name) {
    send(
        "DELETE",
        "/api/v1/namespaces/" + namespace + "/pods/" + name + "?gracePeriodSeconds=0",
        null);
  }

  /**
   * Asks for a token of a ServiceAccount (TokenRequest).
   *
   * @param ttl at least 10 minutes
   */
  public String createToken(
      String namespace, String serviceAccount, String audience, Duration ttl) {
    return token(
        namespace,
        serviceAccount,
        Map.of("audiences", List.of(audience), "expirationSeconds", ttl.toSeconds()));
  }

  /** Asks for a token that is bound to a pod, as the kubelet projects it. */
  public String createPodToken(
      String namespace,
      String serviceAccount,
      String audience,
      Duration ttl,
      String pod,
      String podUid) {
    return token(
        namespace,
        serviceAccount,
        Map.of(
            "audiences", List.of(audience),
            "expirationSeconds", ttl.toSeconds(),
            "boundObjectRef",
                Map.of("kind", "Pod", "apiVersion", "v1", "name", pod, "uid", podUid)));
  }

  /**
   * A token that the API server never made, signed with the API server's own key: whoever trusts
   * the key alone accepts it.
   *
   * @param claims all of its claims
   */
  public String signWithItsKey(Map<String, Object> claims) {
    JsonMapper json = JsonMapper.shared();
    String kid = json.readTree(jwks()).at("/keys/0/kid").asString();
    String input =
        encode(json.writeValueAsBytes(Map.of("alg", "RS256", "kid", kid)))
            + "."
            + encode(json.writeValueAsBytes(claims));
    try {
      Signature signature = Signature.getInstance("SHA256withRSA");
      signature.initSign(tokenKey.getPrivate());
      signature.update(input.getBytes(StandardCharsets.US_ASCII));
      return input + "." + encode(signature.sign());
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String encode(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  /**
   * A token that may ask for TokenReviews and nothing else, of a ServiceAccount that is made for
   * it.
   */
  public String reviewerToken() {
    String name = "reviewer-" + RealVault.random();
    createServiceAccount("default", name);
    send(
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        Map.of(
            "metadata",
            Map.of("name", name),
            "roleRef",
            Map.of(
                "apiGroup", "rbac.authorization.k8s.io",
                "kind", "ClusterRole",
                "name", "system:auth-delegator"),
            "subjects",
            List.of(Map.of("kind", "ServiceAccount", "name", name, "namespace", "default"))));
    return createToken("default", name, issuer(), Duration.ofHours(1));
  }

  /** Any other call as cluster administrator. */
  public JsonNode send(String method, String path, @Nullable Object body) {
    return api.send(method, path, body);
  }

  /** Freezes the API server: connections stay open and nothing is answered. */
  public void freeze() {
    server.freeze();
  }

  /** Lets it go on. */
  public void thaw() {
    server.thaw();
  }

  @Override
  public void close() {
    api.close();
    server.close();
    etcd.close();
    ChildProcess.deleteFolder(folder);
  }

  private List<String> command(Path apiServer, URI etcdUri) {
    Path serving = authority.server("127.0.0.1", "localhost").writePem(folder, "serving");
    Path signing = signingKey();
    return List.of(
        apiServer.toString(),
        "--etcd-servers=" + etcdUri,
        "--bind-address=127.0.0.1",
        "--secure-port=" + uri.getPort(),
        "--endpoint-reconciler-type=none",
        "--tls-cert-file=" + serving,
        "--tls-private-key-file=" + folder.resolve("serving.key"),
        "--client-ca-file=" + authority.writePem(folder),
        "--service-account-issuer=" + issuer(),
        "--service-account-jwks-uri=" + uri + "/openid/v1/jwks",
        "--service-account-key-file=" + signing,
        "--service-account-signing-key-file=" + signing,
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=RBAC");
  }

  private Path signingKey() {
    try {
      return Files.writeString(
          folder.resolve("signing.key"),
          TestCertificate.pem("PRIVATE KEY", tokenKey.getPrivate().getEncoded()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static KeyPair rsaKey() {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
      generator.initialize(2048);
      return generator.generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private String token(String namespace, String serviceAccount, Map<String, Object> spec) {
    return send(
            "POST",
            "/api/v1/namespaces/" + namespace + "/serviceaccounts/" + serviceAccount + "/token",
            Map.of("spec", spec))
        .at("/status/token")
        .asString();
  }

  private static String uid(JsonNode resource) {
    return resource.at("/metadata/uid").asString();
  }
}
