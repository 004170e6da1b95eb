package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.realparts.NeedsKubernetes;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealKubernetes;
import io.valetkey.realparts.RealVault;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Kubernetes login, between a real Vault and a real API server that it asks for a review. */
@NeedsVault
@NeedsKubernetes
class VaultKubernetesLoginTest {

  @TempDir Path folder;

  @Test
  void kubernetes_logsInWithTheProjectedToken() throws Exception {
    try (RealVault vault = RealVault.start();
        RealKubernetes kubernetes = RealKubernetes.start()) {
      kubernetes.createNamespace("broker");
      kubernetes.createServiceAccount("broker", "broker");
      kubernetes.createServiceAccount("broker", "other");
      configure(vault, kubernetes);
      Path file = folder.resolve("token");
      VaultLogin login = new VaultLogin.Kubernetes("kubernetes", "broker", file);

      try (VaultConnection connection = new VaultConnection(VaultSettings.of(vault.uri(), login))) {
        VaultKvSource source = new VaultKvSource(connection);
        Credential.VaultKv reference = new Credential.VaultKv("secret", "agents/a", "api_key");

        Files.writeString(file, token(kubernetes, "other"));
        assertThatThrownBy(() -> source.read(reference))
            .isInstanceOf(SourceAwayException.class)
            .hasMessageContaining("login");
        Files.writeString(file, token(kubernetes, "broker"));
        assertThat(source.read(reference).reveal()).isEqualTo("canary-1");
      }
    }
  }

  private static void configure(RealVault vault, RealKubernetes kubernetes) {
    vault.readPolicy("agents", "agents");
    vault.put("secret", "agents/a", Map.of("api_key", "canary-1"));
    vault.enableAuth("kubernetes");
    vault.send(
        "POST",
        "auth/kubernetes/config",
        Map.of(
            "kubernetes_host", kubernetes.uri().toString(),
            "kubernetes_ca_cert", kubernetes.caPem(),
            "token_reviewer_jwt", kubernetes.reviewerToken(),
            "disable_local_ca_jwt", true));
    vault.send(
        "POST",
        "auth/kubernetes/role/broker",
        Map.of(
            "bound_service_account_names", List.of("broker"),
            "bound_service_account_namespaces", List.of("broker"),
            "audience", "vault",
            "token_policies", List.of("agents")));
  }

  private static String token(RealKubernetes kubernetes, String account) {
    return kubernetes.createToken("broker", account, "vault", Duration.ofMinutes(10));
  }
}
