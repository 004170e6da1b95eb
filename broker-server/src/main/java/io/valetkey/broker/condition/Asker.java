package io.valetkey.broker.condition;

import org.jspecify.annotations.Nullable;

/** Who asks, as conditions know it. */
public interface Asker {

  /** The agent's name. */
  String agent();

  /** The name of the issuer of its identity; null if that is not known. */
  @Nullable String issuer();

  /** The subject of its identity; null if that is not known. */
  @Nullable String subject();
}
