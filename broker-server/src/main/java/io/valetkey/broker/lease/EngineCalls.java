package io.valetkey.broker.lease;

import io.valetkey.broker.policy.LeaseEngine;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpMethod;

/**
 * What is particular to each engine of Vault: how it is asked, what its answer means to an agent,
 * and whether ending the lease ends the credential.
 */
final class EngineCalls {

  /**
   * How an engine is asked for a credential.
   *
   * @param body what is sent; null for a GET
   */
  record Ask(HttpMethod method, String path, @Nullable Map<String, Object> body) {}

  /** The name that Vault gives to an account of its own making, unless its role says otherwise. */
  private static final Pattern MADE_BY_VAULT =
      Pattern.compile("v-[a-z0-9-]*-[0-9]{10}-[a-z0-9]{20,}");

  private EngineCalls() {}

  static Ask ask(LeaseSource source) {
    String role = source.role();
    return switch (source.engine()) {
      case POSTGRESQL, MYSQL ->
          get(source.mount() + (source.fixed() ? "/static-creds/" : "/creds/") + role);
      case RABBITMQ -> get(source.mount() + "/creds/" + role);
      case KUBERNETES -> post(source, source.mount() + "/creds/" + role);
      case PKI -> post(source, source.mount() + "/issue/" + role);
      case AWS -> post(source, source.mount() + "/creds/" + role);
    };
  }

  private static Ask get(String path) {
    return new Ask(HttpMethod.GET, path, null);
  }

  private static Ask post(LeaseSource source, String path) {
    Map<String, Object> body = new LinkedHashMap<>(source.parameters());
    body.put("ttl", source.maxTtl().toSeconds() + "s");
    return new Ask(HttpMethod.POST, path, body);
  }

  /** Where Vault lists the leases of a role. */
  static String leasePrefix(LeaseEngine engine, String mount, String role) {
    return switch (engine) {
      case POSTGRESQL, MYSQL, RABBITMQ, KUBERNETES, AWS -> mount + "/creds/" + role;
      case PKI -> mount + "/issue/" + role;
    };
  }

  /**
   * Reads the answer.
   *
   * @return what was made; its members are looked at when they are asked for, so that whatever is
   *     wrong with them, it is known what must be taken back
   * @throws IllegalStateException if there is no lease
   */
  static VaultCredential read(LeaseSource source, Map<String, Object> answer) {
    Object leaseId = answer.get("lease_id");
    String id = leaseId instanceof String text && !text.isEmpty() ? text : null;
    if (id == null && !source.fixed()) {
      throw new IllegalStateException(
          "Vault made no lease; a PKI role needs generate_lease, and nothing else comes without one");
    }
    Map<?, ?> data = answer.get("data") instanceof Map<?, ?> members ? members : Map.of();
    long seconds = source.fixed() ? number(data.get("ttl")) : number(answer.get("lease_duration"));
    return new VaultCredential(
        id,
        Duration.ofSeconds(seconds),
        Boolean.TRUE.equals(answer.get("renewable")),
        isRevocable(source.engine(), data),
        () -> new LeasedCredential(members(source, data)));
  }

  /**
   * AWS keeps a session token valid until its own end, whatever becomes of the lease. Vault deletes
   * a ServiceAccount that it made itself, and cannot take back the token of another.
   */
  private static boolean isRevocable(LeaseEngine engine, Map<?, ?> data) {
    return switch (engine) {
      case POSTGRESQL, MYSQL, RABBITMQ, PKI -> true;
      case AWS -> data.get("security_token") == null && data.get("session_token") == null;
      case KUBERNETES ->
          data.get("service_account_name") instanceof String name
              && MADE_BY_VAULT.matcher(name).matches();
    };
  }

  private static Map<String, Object> members(LeaseSource source, Map<?, ?> data) {
    Map<String, Object> members = new LinkedHashMap<>();
    members.put("type", source.engine().word());
    members.put("url", source.origin());
    switch (source.engine()) {
      case POSTGRESQL, MYSQL, RABBITMQ -> {
        members.put("username", text(data, "username"));
        members.put("password", text(data, "password"));
      }
      case KUBERNETES -> {
        members.put("token", text(data, "service_account_token"));
        members.put("service_account", text(data, "service_account_name"));
        members.put("namespace", text(data, "service_account_namespace"));
      }
      case PKI -> {
        members.put("certificate", text(data, "certificate"));
        members.put("private_key", text(data, "private_key"));
        members.put("issuing_ca", text(data, "issuing_ca"));
        members.put("ca_chain", chain(data));
        members.put("serial_number", text(data, "serial_number"));
      }
      case AWS -> {
        members.put("access_key_id", text(data, "access_key"));
        members.put("secret_access_key", text(data, "secret_key"));
        Object session =
            data.get("session_token") == null
                ? data.get("security_token")
                : data.get("session_token");
        if (session instanceof String token) {
          members.put("session_token", token);
        }
      }
    }
    return members;
  }

  private static List<String> chain(Map<?, ?> data) {
    return data.get("ca_chain") instanceof List<?> list
        ? list.stream().map(String::valueOf).toList()
        : List.of(text(data, "issuing_ca"));
  }

  private static String text(Map<?, ?> data, String name) {
    if (data.get(name) instanceof String text && !text.isEmpty()) {
      return text;
    }
    throw new IllegalStateException("Vault's answer has no " + name);
  }

  private static long number(@Nullable Object value) {
    return Objects.requireNonNullElse(value, 0) instanceof Number number ? number.longValue() : 0;
  }
}
