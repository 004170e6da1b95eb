package io.valetkey.broker.control;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** What somebody may do at the admin API and in the console. */
public enum Role {
  /** Sends signals, and reads nothing. */
  SENSOR,
  /** Reads everything. */
  VIEWER,
  /** Reads everything, and decides about requests that need an approval. */
  APPROVER,
  /** Reads, stops and sends signals. */
  OPERATOR,
  /** Changes the policy as well. */
  ADMIN;

  /** Whether whoever has this role may do what needs the other one. */
  public boolean includes(Role other) {
    return switch (this) {
      case SENSOR -> other == SENSOR;
      case VIEWER -> other == VIEWER;
      case APPROVER -> Set.of(VIEWER, APPROVER).contains(other);
      case OPERATOR -> Set.of(SENSOR, VIEWER, OPERATOR).contains(other);
      case ADMIN -> true;
    };
  }

  /** The role of this name, lower case as an identity provider sends it. */
  public static Optional<Role> named(String name) {
    return Arrays.stream(values())
        .filter(role -> role.name().toLowerCase(Locale.ROOT).equals(name))
        .findFirst();
  }
}
