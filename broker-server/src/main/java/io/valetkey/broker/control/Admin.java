package io.valetkey.broker.control;

import java.security.Principal;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Somebody who has authenticated to the admin API or to the console.
 *
 * @param name who, for the audit record
 * @param roles what they may do; none for nothing
 * @param cluster the issuer that a sensor speaks for; null for everybody else
 */
public record Admin(String name, Set<Role> roles, @Nullable String cluster) implements Principal {

  /** Copies the roles. */
  public Admin {
    roles = Set.copyOf(roles);
  }

  @Override
  public String getName() {
    return name;
  }

  /** Whether one of the roles includes this one. */
  public boolean may(Role needed) {
    return roles.stream().anyMatch(role -> role.includes(needed));
  }
}
