package io.valetkey.broker.lease;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.policy.LeaseEngine;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TemplateLintTest {

  private static final String CREATION = OrdersDatabase.template("creation");
  private static final String REVOCATION = OrdersDatabase.template("revocation");
  private static final String RENEWAL = OrdersDatabase.template("renewal");

  @Test
  void shippedTemplates_haveNoFinding() {
    assertThat(TemplateLint.check(LeaseEngine.POSTGRESQL, CREATION, REVOCATION, RENEWAL)).isEmpty();
    assertThat(
            TemplateLint.check(
                LeaseEngine.MYSQL,
                OrdersDatabase.read("mysql-creation.sql"),
                OrdersDatabase.read("mysql-revocation.sql"),
                ""))
        .isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          creation | VALID UNTIL '{{expiration}}'                                | `` | VALID UNTIL
          creation | IN ROLE orders_reader                                       | `; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}"` | access list
          creation | IN ROLE orders_reader                                       | `` | member of no group
          creation | WITH LOGIN                                                  | WITH LOGIN CREATEROLE | more than
          revocation | ALTER ROLE "{{name}}" NOLOGIN;                            | `` | NOLOGIN
          revocation | pg_terminate_backend(pid, 2000)                           | pg_cancel_backend(pid) | pg_terminate_backend
          revocation | COMMIT;                                                   | `` | one transaction
          revocation | DROP ROLE IF EXISTS "{{name}}";                           | `` | not dropped
          renewal  | VALID UNTIL '{{expiration}}'                                | NOLOGIN | renewal
          """)
  void changedTemplate_isNamed(String which, String part, String instead, String finding) {
    String creation = which.equals("creation") ? CREATION.replace(part, instead) : CREATION;
    String revocation = which.equals("revocation") ? REVOCATION.replace(part, instead) : REVOCATION;
    String renewal = which.equals("renewal") ? RENEWAL.replace(part, instead) : RENEWAL;

    List<String> findings =
        TemplateLint.check(LeaseEngine.POSTGRESQL, creation, revocation, renewal);

    assertThat(findings).isNotEmpty().anyMatch(text -> text.contains(finding));
  }

  @Test
  void noRevocation_isNamed_becauseTheEnginesOwnLeavesSessions() {
    assertThat(TemplateLint.check(LeaseEngine.POSTGRESQL, CREATION, "", RENEWAL))
        .singleElement()
        .asString()
        .contains("open sessions");
    assertThat(
            TemplateLint.check(
                LeaseEngine.MYSQL, OrdersDatabase.read("mysql-creation.sql"), "", ""))
        .singleElement()
        .asString()
        .contains("MySQL leaves the sessions");
  }
}
