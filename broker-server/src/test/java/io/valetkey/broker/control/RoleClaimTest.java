package io.valetkey.broker.control;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What a provider's claim makes somebody here. */
class RoleClaimTest {

  private static final RoleClaim MAPPED =
      new RoleClaim("groups", Map.of("on call", Role.OPERATOR, "acme:platform", Role.ADMIN));

  @Test
  void mapping_takesValuesWhole_andNoNamesOfRoles() {
    assertThat(MAPPED.roles(Map.of("groups", List.of("on call", "x")))).containsOnly(Role.OPERATOR);
    assertThat(MAPPED.roles(Map.of("groups", "on call"))).containsOnly(Role.OPERATOR);
    assertThat(MAPPED.roles(Map.of("groups", "x acme:platform"))).isEmpty();
    assertThat(MAPPED.roles(Map.of("groups", List.of("admin", "ACME:platform", 1)))).isEmpty();
    assertThat(MAPPED.roles(Map.of())).isEmpty();
  }

  @Test
  void withoutMapping_theNamesCount_alsoWithinAnObjectOrAString() {
    var nested = new RoleClaim("realm.roles", Map.of());
    assertThat(nested.roles(Map.of("realm", Map.of("roles", List.of("viewer", "root")))))
        .containsOnly(Role.VIEWER);
    assertThat(nested.roles(Map.of("realm", Map.of("roles", "viewer, operator"))))
        .containsOnly(Role.VIEWER, Role.OPERATOR);
    assertThat(nested.roles(Map.of("realm", "admin"))).isEmpty();
  }

  @Test
  void email_thatNobodyVerified_isNobodys() {
    var email = new RoleClaim("email", Map.of("olga@acme.test", Role.ADMIN));
    assertThat(email.roles(Map.of("email", "olga@acme.test", "email_verified", true)))
        .containsOnly(Role.ADMIN);
    assertThat(email.roles(Map.of("email", "olga@acme.test"))).isEmpty();
    assertThat(email.roles(Map.of("email", "olga@acme.test", "email_verified", false))).isEmpty();
    assertThat(email.roles(Map.of("email", "olga@acme.test", "email_verified", "true"))).isEmpty();
  }
}
