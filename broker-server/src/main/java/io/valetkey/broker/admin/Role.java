package io.valetkey.broker.admin;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** What an admin may do. Each role may do what the roles before it may. */
enum Role {
  /** Reads everything. */
  VIEWER,
  /** Stops as well. */
  OPERATOR,
  /** Changes the policy as well. */
  ADMIN;

  boolean includes(Role other) {
    return compareTo(other) >= 0;
  }

  /** The role of this name, lower case as an identity provider sends it. */
  static Optional<Role> named(String name) {
    return Arrays.stream(values())
        .filter(role -> role.name().toLowerCase(Locale.ROOT).equals(name))
        .findFirst();
  }
}
