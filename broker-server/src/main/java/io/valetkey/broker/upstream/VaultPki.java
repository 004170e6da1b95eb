package io.valetkey.broker.upstream;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.vault.VaultException;
import org.springframework.vault.support.VaultResponse;
import org.springframework.web.client.RestClientException;

/** A certificate authority in a PKI engine of Vault or OpenBao, which signs intermediates. */
public final class VaultPki {

  private final VaultConnection vault;
  private final String mount;

  /**
   * Asks through this connection, which belongs to the caller.
   *
   * @throws IllegalArgumentException if the mount is not a plain Vault path
   */
  public VaultPki(VaultConnection vault, String mount) {
    VaultPath.requirePath("the mount of the authority", mount);
    this.vault = vault;
    this.mount = mount;
  }

  /** Whether this can be the mount of an authority. */
  public static boolean isPath(String text) {
    return VaultPath.isPath(text);
  }

  /**
   * Has an intermediate signed that can sign no further one. Blocks.
   *
   * @param request its request, PKCS#10 in PEM
   * @param name its common name
   * @param life how long it is to live; Vault may say less
   * @param domains the names, with all below them, for which it may sign, and no addresses; no
   *     limit if empty
   * @return its certificate first, then those above it, as Vault has them
   * @throws IOException if there is none, with a sentence that says why
   */
  public List<X509Certificate> signIntermediate(
      String request, String name, Duration life, List<String> domains) throws IOException {
    Map<String, Object> body = new HashMap<>();
    body.put("csr", request);
    body.put("common_name", name);
    body.put("ttl", life.toSeconds() + "s");
    body.put("max_path_length", 0);
    body.put("format", "pem");
    if (!domains.isEmpty()) {
      body.put("permitted_dns_domains", domains);
      body.put("excluded_ip_ranges", List.of("0.0.0.0/0", "::/0"));
    }
    try {
      VaultResponse answer =
          vault.call(operations -> operations.write(mount + "/root/sign-intermediate", body));
      return chain(answer == null ? null : answer.getData());
    } catch (VaultException | RestClientException e) {
      int status = VaultConnection.status(e);
      throw new IOException(
          mount
              + "/root/sign-intermediate: "
              + (status == 0 ? "Vault did not answer" : "Vault answered " + status),
          e);
    } catch (CertificateException e) {
      throw new IOException(mount + " answered with a certificate that cannot be read", e);
    }
  }

  private static List<X509Certificate> chain(@Nullable Map<String, Object> data)
      throws IOException, CertificateException {
    if (data == null || !(data.get("certificate") instanceof String own)) {
      throw new IOException("Vault answered without a certificate");
    }
    List<X509Certificate> chain = new ArrayList<>();
    chain.add(certificate(own));
    if (data.get("ca_chain") instanceof List<?> above) {
      for (Object each : above) {
        X509Certificate next = certificate(String.valueOf(each));
        if (!chain.contains(next)) {
          chain.add(next);
        }
      }
    }
    return chain;
  }

  private static X509Certificate certificate(String pem) throws CertificateException {
    return (X509Certificate)
        CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII)));
  }
}
