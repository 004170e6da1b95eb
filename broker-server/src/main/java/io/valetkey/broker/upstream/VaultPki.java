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

/** A certificate authority in a PKI engine of Vault or OpenBao. */
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
      return chain(write("/root/sign-intermediate", body));
    } catch (CertificateException e) {
      throw new IOException(mount + " answered with a certificate that cannot be read", e);
    }
  }

  /**
   * Has a request signed by a role. Blocks.
   *
   * @param request PKCS#10 in PEM, with the same names as here: the role says which it reads
   * @param commonName the common name; none if null
   * @param uri the URI among the alternative names; none if null
   * @param life how long it is to live; the role may say less
   * @return its certificate first, then those above it, as Vault has them
   * @throws IOException if there is none, with a sentence that says why
   */
  List<X509Certificate> sign(
      String role, String request, @Nullable String commonName, @Nullable String uri, Duration life)
      throws IOException {
    Map<String, Object> body = new HashMap<>();
    body.put("csr", request);
    body.put("ttl", life.toSeconds() + "s");
    body.put("format", "pem");
    if (commonName != null) {
      body.put("common_name", commonName);
    }
    if (uri != null) {
      body.put("uri_sans", uri);
    }
    try {
      return chain(write("/sign/" + role, body));
    } catch (CertificateException e) {
      throw new IOException(mount + " answered with a certificate that cannot be read", e);
    }
  }

  private @Nullable Map<String, Object> write(String path, Map<String, Object> body)
      throws IOException {
    try {
      VaultResponse answer = vault.call(operations -> operations.write(mount + path, body));
      return answer == null ? null : answer.getData();
    } catch (VaultException | RestClientException e) {
      throw new IOException(mount + path + ": " + VaultConnection.answer(e), e);
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
