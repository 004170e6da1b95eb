package io.valetkey.broker.lease;

import io.valetkey.broker.policy.LeaseEngine;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.VaultConnection;
import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpEntity;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.vault.VaultException;
import org.springframework.vault.support.VaultResponse;
import org.springframework.web.client.RestClientException;

/**
 * The calls to Vault that leases need. Each lease has an owner token of its own: when that ends,
 * Vault ends the lease, whether or not anybody of us is still there. Our own login owns nothing.
 */
final class LeaseVault {

  private static final int OWNER_MARGIN = 30;
  private static final int LONGEST_ERROR = 300;
  private static final int BAD_REQUEST = 400;
  private static final int FORBIDDEN = 403;
  private static final int NOT_FOUND = 404;

  private final @Nullable VaultConnection vault;
  private final LeaseSettings settings;

  /** What became of a try to end a lease. */
  sealed interface Ending {
    /** Vault has neither the credential nor its owner token any more. */
    record Gone() implements Ending {}

    /** Nobody can end it before its own end. */
    record NotPossible(String why) implements Ending {}

    /** It is not known to be gone. */
    record Failed(String why) implements Ending {}
  }

  LeaseVault(@Nullable VaultConnection vault, LeaseSettings settings) {
    this.vault = vault;
    this.settings = settings;
  }

  /**
   * Makes the owner token of a lease: an orphan, so that no login of ours can take it along, with
   * the policy of this source alone and {@link LeaseSettings#BIRTH_LIFE}.
   */
  OwnerToken createOwner(UUID lease, LeaseSource source) {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("policies", List.of(settings.policyFor(source)));
    body.put("no_default_policy", true);
    body.put("renewable", true);
    body.put("ttl", LeaseSettings.BIRTH_LIFE.toSeconds() + "s");
    body.put("explicit_max_ttl", ownerLife(source.maxTtl()).toSeconds() + "s");
    body.put("meta", Map.of("valetkey_lease", lease.toString()));
    Map<String, Object> answer = post("auth/token/create/" + settings.tokenRole(), body);
    if (answer.get("auth") instanceof Map<?, ?> auth
        && auth.get("client_token") instanceof String token
        && auth.get("accessor") instanceof String accessor) {
      return new OwnerToken(SecretValue.of(token), accessor);
    }
    throw new IllegalStateException("Vault's answer has no token");
  }

  /** A little longer than the lease, so that it is we who end the lease and not a lapse. */
  static Duration ownerLife(Duration leaseLife) {
    return leaseLife.plusSeconds(OWNER_MARGIN);
  }

  /** Asks for the credential, in the name of the owner token. */
  VaultCredential read(OwnerToken owner, LeaseSource source) {
    EngineCalls.Ask ask = EngineCalls.ask(source);
    HttpHeaders headers = new HttpHeaders();
    headers.set("X-Vault-Token", owner.token().reveal());
    Map<String, Object> answer =
        connection()
            .call(operations ->
                operations.doWithVault(rest ->
                    body(
                        rest.exchange(
                                ask.path(),
                                ask.method(),
                                new HttpEntity<>(ask.body(), headers),
                                Map.class)
                            .getBody())));
    return EngineCalls.read(source, Objects.requireNonNull(answer));
  }

  /**
   * Lets an owner token live so long from now on.
   *
   * @throws IllegalStateException if Vault gives it less
   */
  void prolong(String accessor, Duration life) {
    Map<String, Object> answer =
        post(
            "auth/token/renew-accessor",
            Map.of("accessor", accessor, "increment", life.toSeconds() + "s"));
    long given =
        answer.get("auth") instanceof Map<?, ?> auth
                && auth.get("lease_duration") instanceof Number seconds
            ? seconds.longValue()
            : 0;
    if (given < life.minusSeconds(OWNER_MARGIN).toSeconds()) {
      throw new IllegalStateException(
          "Vault lets the owner token live " + given + " s only: look at its token role");
    }
  }

  /**
   * Makes a lease live longer.
   *
   * @return how long it lives now; Vault may give less than was asked
   * @throws IllegalStateException if Vault does not say
   */
  Duration renew(String vaultLeaseId, Duration life) {
    Map<String, Object> answer =
        post("sys/leases/renew", Map.of("lease_id", vaultLeaseId, "increment", life.toSeconds()));
    if (answer.get("lease_duration") instanceof Number seconds && seconds.longValue() > 0) {
      return Duration.ofSeconds(seconds.longValue());
    }
    throw new IllegalStateException("Vault does not say how long the lease lives now");
  }

  /** Ends a lease and looks whether it is gone. Safe to repeat. */
  Ending end(Lease lease) {
    try {
      String accessor = lease.accessor();
      if (accessor == null) {
        return new Ending.Gone(); // Without a recorded owner token no credential was asked for.
      }
      if (lease.fixed() && lease.vaultLeaseId() == null && lease.expiresAt() != null) {
        var _ = post(lease.mount() + "/rotate-role/" + lease.role(), Map.of());
      }
      String id = lease.vaultLeaseId();
      if (id != null) {
        var _ = post("sys/leases/revoke", Map.of("lease_id", id, "sync", true));
      }
      endOwner(accessor);
      if (id != null && exists("sys/leases/lookup", "lease_id", id)) {
        return new Ending.Failed("Vault still has the lease");
      }
      if (exists("auth/token/lookup-accessor", "accessor", accessor)) {
        return new Ending.Failed("Vault still has the owner token");
      }
      return lease.revocable() || lease.over()
          ? new Ending.Gone()
          : new Ending.NotPossible(
              "the credential is valid until its own end, whatever Vault does; see the table of"
                  + " what can be revoked");
    } catch (VaultException | RestClientException | RefusedException | IllegalStateException e) {
      return new Ending.Failed(said(e));
    }
  }

  private void endOwner(String accessor) {
    try {
      var _ = post("auth/token/revoke-accessor", Map.of("accessor", accessor));
    } catch (VaultException e) {
      if (!isUnknown(e)) {
        throw e;
      }
    }
  }

  private boolean exists(String path, String name, String value) {
    try {
      var _ = post(path, Map.of(name, value));
      return true;
    } catch (VaultException e) {
      if (isUnknown(e)) {
        return false;
      }
      throw e;
    }
  }

  /**
   * How Vault says that it does not know an accessor or a lease. Its own word is asked for, because
   * a missing permission and a broken request have the same status.
   */
  private static boolean isUnknown(VaultException failure) {
    int status = VaultConnection.status(failure);
    String said = String.valueOf(failure.getMessage());
    return (status == BAD_REQUEST || status == FORBIDDEN || status == NOT_FOUND)
        && (said.contains("invalid accessor") || said.contains("invalid lease"));
  }

  /**
   * The ids of all leases that Vault has of a role.
   *
   * @return null if we may not list them
   */
  @Nullable Set<String> list(LeaseEngine engine, String mount, String role) {
    String prefix = EngineCalls.leasePrefix(engine, mount, role);
    try {
      List<String> keys =
          connection().call(operations -> operations.list("sys/leases/lookup/" + prefix));
      Set<String> ids = new HashSet<>();
      if (keys != null) {
        keys.forEach(key -> ids.add(prefix + "/" + key));
      }
      return ids;
    } catch (VaultException e) {
      if (VaultConnection.status(e) == FORBIDDEN) {
        return null;
      }
      throw e;
    }
  }

  /**
   * The SQL of a role of the database engine.
   *
   * @param creation the statements that make a login
   * @param revocation the statements that drop it; empty for the engine's own
   * @param renewal the statements that prolong it; empty for the engine's own
   */
  record Templates(String creation, String revocation, String renewal) {}

  /** The templates of a role; empty if we may not read it, or there is none. */
  Optional<Templates> templates(String mount, String role) {
    try {
      VaultResponse answer =
          connection().call(operations -> operations.read(mount + "/roles/" + role));
      if (answer == null || answer.getData() == null) {
        return Optional.empty();
      }
      Map<String, Object> data = answer.getRequiredData();
      return Optional.of(
          new Templates(
              statements(data, "creation_statements"),
              statements(data, "revocation_statements"),
              statements(data, "renew_statements")));
    } catch (VaultException e) {
      return Optional.empty();
    }
  }

  private static String statements(Map<String, Object> data, String name) {
    return data.get(name) instanceof List<?> list
        ? String.join(";\n", list.stream().map(String::valueOf).toList())
        : "";
  }

  private Map<String, Object> post(String path, Map<String, Object> body) {
    Map<String, Object> answer =
        connection()
            .call(operations ->
                operations.doWithSession(rest ->
                    body(
                        rest.exchange(path, HttpMethod.POST, new HttpEntity<>(body), Map.class)
                            .getBody())));
    return answer == null ? Map.of() : answer;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> body(@Nullable Map<?, ?> body) {
    return body == null ? Map.of() : (Map<String, Object>) body;
  }

  private VaultConnection connection() {
    if (vault == null) {
      throw new RefusedException(
          ProblemCode.CREDENTIAL_UNAVAILABLE,
          "valetkey.vault.uri is not set: nothing to lease from");
    }
    return vault;
  }

  /** Vault's own words for whoever operates it; it never repeats a credential in an error. */
  static String said(RuntimeException failure) {
    String text = String.valueOf(failure.getMessage()).replaceAll("\\p{Cntrl}+", " ");
    return text.length() <= LONGEST_ERROR ? text : text.substring(0, LONGEST_ERROR) + "…";
  }
}
