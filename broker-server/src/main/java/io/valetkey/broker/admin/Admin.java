package io.valetkey.broker.admin;

import java.security.Principal;
import org.jspecify.annotations.Nullable;

/**
 * Somebody who has authenticated to the admin API.
 *
 * @param name who, for the audit record
 * @param role what they may do; null for nothing
 */
record Admin(String name, @Nullable Role role) implements Principal {

  @Override
  public String getName() {
    return name;
  }

  boolean may(Role needed) {
    return role != null && role.includes(needed);
  }
}
