package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpStatus;
import org.springframework.vault.VaultException;
import org.springframework.vault.authentication.VaultLoginException;
import org.springframework.vault.authentication.VaultTokenLookupException;
import org.springframework.vault.support.Versioned;
import org.springframework.web.client.RestClientException;

/** Credentials in key-value engines (version 2) of Vault or OpenBao: always the latest version. */
public final class VaultKvSource implements CredentialSource<DestinationSpec.Credential.VaultKv> {

  private static final Logger log = LoggerFactory.getLogger(VaultKvSource.class);

  private final VaultConnection vault;

  /** Reads through this connection, which belongs to the caller. */
  public VaultKvSource(VaultConnection vault) {
    this.vault = vault;
  }

  @Override
  public SecretValue read(DestinationSpec.Credential.VaultKv reference) {
    return CredentialText.check(reference, text(reference));
  }

  @Override
  public SecretValue readKey(DestinationSpec.Credential.VaultKv reference) {
    return CredentialText.key(reference, text(reference));
  }

  private String text(DestinationSpec.Credential.VaultKv reference) {
    return switch (data(reference).get(reference.field())) {
      case String text -> text;
      case null -> throw CredentialText.refused(reference, "has no such field");
      default -> throw CredentialText.refused(reference, "is not text");
    };
  }

  @Override
  public CredentialFields read(
      DestinationSpec.Credential.VaultKv reference, List<String> required, List<String> optional) {
    return CredentialText.pick(reference, data(reference), required, optional);
  }

  private Map<String, Object> data(DestinationSpec.Credential.VaultKv reference) {
    if (!VaultPath.isPath(reference.mount()) || !VaultPath.isPath(reference.path())) {
      throw CredentialText.refused(reference, "is not a plain Vault path");
    }
    Versioned<Map<String, Object>> secret = secret(reference);
    if (secret == null || !secret.hasData()) {
      throw CredentialText.refused(reference, "does not exist in Vault");
    }
    return secret.getRequiredData();
  }

  private @Nullable Versioned<Map<String, Object>> secret(
      DestinationSpec.Credential.VaultKv reference) {
    try {
      return vault.call(operations ->
          operations.opsForVersionedKeyValue(reference.mount()).get(reference.path()));
    } catch (VaultException | RestClientException e) {
      throw refusal(reference, e);
    }
  }

  // Only a clear "you may not" of Vault counts as an answer: a sealed Vault, a lost leader, a limit
  // or a failed login (400, 403 while logging in) says nothing about the credential.
  private static RefusedException refusal(
      DestinationSpec.Credential.VaultKv reference, RuntimeException failure) {
    // Vault's own words, for whoever sets it up; it never repeats a credential in an error.
    log.debug("{}: {}", CredentialText.name(reference), failure.getMessage(), failure);
    int status = VaultConnection.status(failure);
    boolean login =
        failure instanceof VaultLoginException || failure instanceof VaultTokenLookupException;
    if (status == HttpStatus.FORBIDDEN.value() && !login) {
      return CredentialText.refused(reference, "may not be read by our role in Vault (403)");
    }
    String why = status == 0 ? "Vault did not answer" : "Vault answered " + status;
    return CredentialText.away(
        reference, "cannot be read: " + why + (login ? " to the login" : ""));
  }
}
