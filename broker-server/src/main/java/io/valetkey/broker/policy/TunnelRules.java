package io.valetkey.broker.policy;

import io.valetkey.broker.policy.DestinationSpec.Credential;
import java.net.InetAddress;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What a destination must be that is reached by a tunnel: a name and a port, and nothing that would
 * have to be read or written inside.
 */
final class TunnelRules {

  private final Predicate<InetAddress> allowed;

  TunnelRules(Predicate<InetAddress> allowed) {
    this.allowed = allowed;
  }

  void check(DestinationSpec spec, Errors errors) {
    String originError = WebAddress.originError(spec.origin(), allowed);
    if (originError != null) {
      errors.invalid("/origin", originError);
    } else if (WebAddress.isAddress(spec.origin())) {
      errors.invalid("/origin", "must have a host name: TLS names no addresses (RFC 6066)");
    }
    if (!(spec.credential() instanceof Credential.None)) {
      errors.invalid("/credential", "must be left out: nothing is put into a tunnel");
    }
    DestinationRules.checkMaxStream(spec.maxStream(), errors);
    refuse("/clientCertificate", spec.clientCertificate(), errors);
    refuse("/slot", spec.slot(), errors);
    refuse("/slots", spec.slots(), errors);
    refuse("/signing", spec.signing(), errors);
    refuse("/timeout", spec.timeout(), errors);
    refuse("/maxRequestBody", spec.maxRequestBody(), errors);
    refuse("/http2", spec.http2(), errors);
    refuse("/audit", spec.audit(), errors);
    refuse("/rewriteBodies", spec.rewriteBodies(), errors);
    refuse("/rawPath", spec.rawPath(), errors);
  }

  private static void refuse(String pointer, @Nullable Object value, Errors errors) {
    if (value != null) {
      errors.invalid(pointer, "must be left out: what is in a tunnel is not read");
    }
  }
}
