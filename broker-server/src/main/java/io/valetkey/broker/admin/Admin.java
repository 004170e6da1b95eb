package io.valetkey.broker.admin;

import java.security.Principal;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Somebody who has authenticated to the admin API.
 *
 * @param name who, for the audit record
 * @param roles what they may do; none for nothing
 * @param cluster the issuer that a sensor speaks for; null for everybody else
 */
record Admin(String name, Set<Role> roles, @Nullable String cluster) implements Principal {

  Admin {
    roles = Set.copyOf(roles);
  }

  @Override
  public String getName() {
    return name;
  }

  boolean may(Role needed) {
    return roles.stream().anyMatch(role -> role.includes(needed));
  }
}
