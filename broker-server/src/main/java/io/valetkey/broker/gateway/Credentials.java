package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.ClientCertificate;
import io.valetkey.broker.upstream.CredentialFields;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** The real credentials. No method blocks; the futures fail with a {@code RefusedException}. */
public interface Credentials {

  /** A credential with the version of its value; a class, because a record would print it. */
  final class Credential {

    /** Of a destination that needs none in its requests. */
    static final Credential NONE = new Credential(CredentialFields.NONE, 0);

    private final CredentialFields fields;
    private final long version;
    private final @Nullable ClientCertificate certificate;

    /** Pairs the values with their version. */
    public Credential(CredentialFields fields, long version) {
      this(fields, version, null);
    }

    /**
     * The same.
     *
     * @param certificate the certificate that it is instead of values; null if it is none
     */
    public Credential(
        CredentialFields fields, long version, @Nullable ClientCertificate certificate) {
      this.fields = fields;
      this.version = version;
      this.certificate = certificate;
    }

    @Nullable ClientCertificate certificate() {
      return certificate;
    }

    CredentialFields fields() {
      return fields;
    }

    /**
     * A field that has to be there.
     *
     * @throws RefusedException {@link ProblemCode#CREDENTIAL_UNAVAILABLE} if it is not
     */
    SecretValue required(String field) {
      SecretValue value = fields.get(field);
      if (value == null) {
        throw new RefusedException(
            ProblemCode.CREDENTIAL_UNAVAILABLE, "the credential has no " + field);
      }
      return value;
    }

    long version() {
      return version;
    }
  }

  /** The credential, from memory if it is fresh. */
  CompletableFuture<Credential> get(DestinationSpec.Credential reference);

  /** The credential, fetched anew because the upstream rejected the one that {@link #get} gave. */
  CompletableFuture<Credential> refresh(DestinationSpec.Credential reference);
}
