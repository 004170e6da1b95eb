package io.valetkey.broker.upstream;

import io.valetkey.broker.crypto.CertificateRequest;
import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.RefusedException;
import java.io.IOException;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.util.List;
import java.util.Set;
import org.springframework.http.HttpStatus;
import org.springframework.vault.authentication.VaultLoginException;
import org.springframework.vault.authentication.VaultTokenLookupException;

/**
 * Certificates by roles of PKI engines of Vault or OpenBao. The key is made here, and Vault gets
 * its request only. It revokes none: that would need a right over all certificates of the engine.
 */
public final class VaultCertificates implements CertificateSource {

  private static final Set<HttpStatus> CERTAIN =
      Set.of(
          HttpStatus.BAD_REQUEST,
          HttpStatus.FORBIDDEN,
          HttpStatus.NOT_FOUND,
          HttpStatus.METHOD_NOT_ALLOWED);

  private final VaultConnection vault;
  private final Clock clock;

  /** Asks through this connection, which belongs to the caller. */
  public VaultCertificates(VaultConnection vault, Clock clock) {
    this.vault = vault;
    this.clock = clock;
  }

  @Override
  public ClientCertificate issue(DestinationSpec.Credential.Certificate reference) {
    DestinationSpec.Credential.VaultPki wanted = reference.of();
    if (!VaultPath.isPath(wanted.mount()) || !VaultPath.isPath(wanted.role())) {
      throw CredentialText.refused(reference, "is not a plain Vault path");
    }
    CertificateRequest request = CertificateRequest.make(wanted.commonName(), wanted.uriSan());
    try {
      List<X509Certificate> chain =
          new VaultPki(vault, wanted.mount())
              .sign(
                  wanted.role(),
                  request.pem(),
                  wanted.commonName(),
                  wanted.uriSan(),
                  reference.ttl());
      return ClientCertificate.of(
          reference, request.privateKey(), request.publicKey(), chain, clock.instant());
    } catch (IOException e) {
      throw refusal(reference, e);
    }
  }

  // A sealed Vault, a lost leader, a limit or a failed login says nothing about the certificate.
  private static RefusedException refusal(
      DestinationSpec.Credential.Certificate reference, IOException failure) {
    Throwable cause = failure.getCause() == null ? failure : failure.getCause();
    boolean login =
        cause instanceof VaultLoginException || cause instanceof VaultTokenLookupException;
    HttpStatus status = HttpStatus.resolve(VaultConnection.status(cause));
    String why = "cannot be had: " + failure.getMessage() + (login ? " to the login" : "");
    return status != null && CERTAIN.contains(status) && !login
        ? CredentialText.refused(reference, why)
        : CredentialText.away(reference, why);
  }
}
