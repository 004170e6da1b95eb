package io.valetkey.broker;

import io.valetkey.broker.upstream.VaultPki;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The authority that signs what the forward proxy shows in tunnels.
 *
 * @param bundle the name of Spring's bundle that holds it; null to make one at each start
 * @param vaultPki the mount of the PKI engine of Vault that certifies it; null for none
 * @param file where the certificate is written that programs must trust; null for nowhere
 * @param domains the names, with all below them, to which one that is made is limited; no limit if
 *     empty
 */
record InterceptionSettings(
    @Nullable String bundle, @Nullable String vaultPki, @Nullable Path file, List<String> domains) {

  static InterceptionSettings read(SettingsReader reader, boolean on) {
    String bundle = reader.text("gateway.forward.ca-bundle");
    String vaultPki = reader.text("gateway.forward.ca-vault-pki");
    String file = reader.text("gateway.forward.ca-file");
    List<String> domains = reader.list("gateway.forward.ca-domains");
    if (bundle != null && !domains.isEmpty()) {
      reader.problem("gateway.forward.ca-domains", "is for an authority without ca-bundle");
    }
    if (vaultPki != null && !VaultPki.isPath(vaultPki)) {
      reader.problem("gateway.forward.ca-vault-pki", "must be the path of a mount");
    }
    if (vaultPki != null && bundle != null) {
      reader.problem("gateway.forward.ca-vault-pki", "is for an authority without ca-bundle");
    }
    if (vaultPki != null && reader.text("vault.uri") == null) {
      reader.problem("gateway.forward.ca-vault-pki", "needs valetkey.vault.uri");
    }
    for (String domain : domains) {
      if (!isDomain(domain)) {
        reader.problem("gateway.forward.ca-domains", "must be domain names in lower case");
      }
    }
    if (!on && (bundle != null || vaultPki != null || file != null || !domains.isEmpty())) {
      reader.problem("gateway.forward.ca-*", "needs valetkey.gateway.forward.port");
    }
    return new InterceptionSettings(bundle, vaultPki, file == null ? null : Path.of(file), domains);
  }

  static boolean isDomain(String text) {
    return text.matches("[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?");
  }
}
