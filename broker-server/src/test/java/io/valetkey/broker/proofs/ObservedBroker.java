package io.valetkey.broker.proofs;

import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.TestAuthority;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** What makes a broker show every metric that it has. */
final class ObservedBroker {

  private ObservedBroker() {}

  /** A Vault that is away, a witness that is not waited for, a sink, and a folder of policy. */
  static Map<String, String> settings(Path folder) throws Exception {
    return Map.of(
        "valetkey.vault.uri",
        "http://127.0.0.1:" + RunningBroker.freePort(),
        "valetkey.vault.token",
        "a-token-of-a-vault-that-is-away",
        "valetkey.stop.witness.path",
        "valetkey/stops",
        "valetkey.stop.witness.required",
        "false",
        "valetkey.audit.sinks.file",
        folder.resolve("audit.json").toString(),
        "valetkey.policy.directory",
        Files.createDirectory(folder.resolve("policy")).toString());
  }

  /** The same for a gateway with a certificate of its own. */
  static Map<String, String> withCertificate(Path folder, Map<String, String> settings) {
    Path certificate =
        TestAuthority.create("gateways").server("localhost").writePem(folder, "gateway");
    Map<String, String> all = new HashMap<>(settings);
    all.put("valetkey.roles", "gateway");
    all.put("valetkey.gateway.ssl-bundle", "gateway");
    all.put("valetkey.gateway.forward.port", "0");
    all.put("valetkey.gateway.forward.address", "127.0.0.1");
    all.put("spring.ssl.bundle.pem.gateway.keystore.certificate", "file:" + certificate);
    all.put(
        "spring.ssl.bundle.pem.gateway.keystore.private-key",
        "file:" + folder.resolve("gateway.key"));
    return all;
  }

  /** The root of the repository. */
  static Path repository() {
    Path at = Path.of("").toAbsolutePath();
    while (!Files.exists(at.resolve("INVARIANTS.md"))) {
      at = at.getParent();
    }
    return at;
  }
}
