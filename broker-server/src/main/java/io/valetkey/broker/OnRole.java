package io.valetkey.broker;

import java.util.Arrays;
import org.springframework.context.annotation.Condition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.core.env.Environment;
import org.springframework.core.type.AnnotatedTypeMetadata;

/** Whether this process has a role. A role that it does not have is not wired at all. */
abstract class OnRole implements Condition {

  private final String role;

  private OnRole(String role) {
    this.role = role;
  }

  @Override
  public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
    String roles = context.getEnvironment().getProperty("valetkey.roles");
    return roles == null
        || roles.isBlank()
        || Arrays.stream(roles.split(",")).map(String::strip).anyMatch(role::equals);
  }

  /** The process issues tokens. */
  static final class Issuer extends OnRole {
    Issuer() {
      super(BrokerSettings.ISSUER);
    }
  }

  /** The process does not issue tokens, and has no admin API that would guard its ports. */
  static final class GatewayAlone implements Condition {
    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
      return !new Issuer().matches(context, metadata);
    }
  }

  /** The process carries requests out. */
  static final class Gateway extends OnRole {
    Gateway() {
      super(BrokerSettings.GATEWAY);
    }
  }

  /** The process serves nobody: it brings the schema up to date and ends. */
  static final class Migrate implements Condition {
    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
      return onlyMigrates(context.getEnvironment());
    }
  }

  /** The process serves, in whatever role. */
  static final class Serving implements Condition {
    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
      return !onlyMigrates(context.getEnvironment());
    }
  }

  static boolean onlyMigrates(Environment environment) {
    String roles = environment.getProperty("valetkey.roles");
    return roles != null && roles.strip().equals(BrokerSettings.MIGRATE);
  }
}
