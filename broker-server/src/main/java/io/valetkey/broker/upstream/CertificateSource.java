package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.RefusedException;

/** Where the gateway gets the certificates that it shows to upstreams. */
@FunctionalInterface
public interface CertificateSource {

  /**
   * Has a new one made for a new key. Blocks; called on a virtual thread.
   *
   * @throws RefusedException as {@link CredentialSource#read} does
   */
  ClientCertificate issue(DestinationSpec.Credential.Certificate reference);

  /**
   * The place of a source that is not configured: it refuses every reference.
   *
   * @param setting the setting that would configure it
   */
  static CertificateSource unconfigured(String setting) {
    return reference -> {
      throw CredentialText.refused(reference, "cannot be had: " + setting + " is not set");
    };
  }
}
