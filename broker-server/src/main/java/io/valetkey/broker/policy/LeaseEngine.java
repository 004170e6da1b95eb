package io.valetkey.broker.policy;

import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The engines of Vault that hand out leased credentials. A closed set: each has its own calls. */
public enum LeaseEngine {
  /** The database engine, for PostgreSQL. */
  POSTGRESQL,

  /** The database engine, for MySQL and MariaDB. */
  MYSQL,

  /** The RabbitMQ engine. */
  RABBITMQ,

  /** The Kubernetes engine: ServiceAccount tokens. */
  KUBERNETES,

  /** The PKI engine: certificates with their keys. */
  PKI,

  /** The AWS engine: {@code iam_user}, {@code assumed_role} and the other kinds of its roles. */
  AWS;

  /** The word on the wire and in the database. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Whether the engine has static roles: accounts that exist already, whose password Vault sets.
   */
  public boolean hasStaticRoles() {
    return this == POSTGRESQL || this == MYSQL;
  }

  /** The schemes that the origin of a destination with this engine may have. */
  Set<String> schemes() {
    return switch (this) {
      case POSTGRESQL -> Set.of("postgresql");
      case MYSQL -> Set.of("mysql");
      case RABBITMQ -> Set.of("amqp", "amqps");
      case KUBERNETES, PKI, AWS -> Set.of("https");
    };
  }

  /** The parameters without which the engine gives nothing. */
  Set<String> neededParameters() {
    return switch (this) {
      case POSTGRESQL, MYSQL, RABBITMQ, AWS -> Set.of();
      case KUBERNETES -> Set.of("kubernetes_namespace");
      case PKI -> Set.of("common_name");
    };
  }

  /** The parameters that a destination may set; nobody else sets any. */
  Set<String> knownParameters() {
    return switch (this) {
      case POSTGRESQL, MYSQL, RABBITMQ -> Set.of();
      case KUBERNETES -> Set.of("kubernetes_namespace", "cluster_role_binding", "audiences");
      case PKI -> Set.of("common_name", "alt_names", "ip_sans", "uri_sans");
      case AWS -> Set.of("role_arn", "role_session_name");
    };
  }

  /**
   * The engine that an origin stands for, where only one does.
   *
   * @return null if the origin says nothing about it
   */
  static @Nullable LeaseEngine of(String origin) {
    int colon = origin.indexOf(':');
    String scheme = colon < 0 ? "" : origin.substring(0, colon);
    if (scheme.equals("https")) {
      return null;
    }
    for (LeaseEngine engine : values()) {
      if (engine.schemes().contains(scheme)) {
        return engine;
      }
    }
    return null;
  }
}
