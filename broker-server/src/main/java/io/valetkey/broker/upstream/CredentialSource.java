package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.util.List;

/**
 * A place where real credentials are kept.
 *
 * @param <R> the references it understands
 */
@FunctionalInterface
public interface CredentialSource<R extends DestinationSpec.Credential> {

  /**
   * Reads the credential now. Blocks; called on a virtual thread, which is interrupted when the
   * answer is no longer wanted.
   *
   * @throws RefusedException with {@link ProblemCode#CREDENTIAL_UNAVAILABLE}, naming the reference
   *     and never the value. A {@link SourceAwayException} says that nothing is known about the
   *     credential; every other refusal says that the source answered and there is none to be had.
   */
  SecretValue read(R reference);

  /**
   * Reads fields of one secret now, all of the same version of it; otherwise as {@link #read}.
   *
   * @param required fields that must be there
   * @param optional fields that are read if they are there
   */
  default CredentialFields read(R reference, List<String> required, List<String> optional) {
    throw CredentialText.refused(reference, "has no fields");
  }

  /** Reads a private key now, which may have line breaks; otherwise as {@link #read}. */
  default SecretValue readKey(R reference) {
    throw CredentialText.refused(reference, "holds no keys");
  }

  /**
   * The place of a source that is not configured: it refuses every reference.
   *
   * @param setting the setting that would configure it
   */
  static <R extends DestinationSpec.Credential> CredentialSource<R> unconfigured(String setting) {
    return new CredentialSource<>() {
      @Override
      public SecretValue read(R reference) {
        throw CredentialText.refused(reference, "cannot be read: " + setting + " is not set");
      }

      @Override
      public SecretValue readKey(R reference) {
        throw CredentialText.refused(reference, "cannot be read: " + setting + " is not set");
      }

      @Override
      public CredentialFields read(R reference, List<String> required, List<String> optional) {
        throw CredentialText.refused(reference, "cannot be read: " + setting + " is not set");
      }
    };
  }
}
