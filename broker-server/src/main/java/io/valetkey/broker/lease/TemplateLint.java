package io.valetkey.broker.lease;

import io.valetkey.broker.policy.LeaseEngine;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Says what is wrong with the SQL by which Vault makes and drops logins. Each finding is something
 * that was seen to leave a login or a session behind, or to give more than was meant.
 */
final class TemplateLint {

  private static final Pattern OWN_GRANT =
      Pattern.compile("\\bgrant\\b[^;]*\\bon\\b[^;]*\\bto\\b[^;]*\\{\\{name}}");
  private static final Pattern MEMBERSHIP =
      Pattern.compile(
          "\\bin\\s+role\\b|\\bgrant\\b(?![^;]*\\bon\\b)[^;]*\\bto\\b[^;]*\\{\\{name}}");
  private static final Pattern TOO_MUCH =
      Pattern.compile("(?<!no)\\b(superuser|createrole|createdb|bypassrls|replication)\\b");

  private TemplateLint() {}

  /**
   * Looks at the templates of a dynamic role.
   *
   * @param creation the statements that make a login
   * @param revocation the statements that drop it; empty for the engine's own
   * @param renewal the statements that prolong it; empty for the engine's own
   * @return what is wrong, each with what to do; empty if nothing is
   */
  static List<String> check(
      LeaseEngine engine, String creation, String revocation, String renewal) {
    List<String> findings = new ArrayList<>();
    String make = creation.toLowerCase(Locale.ROOT);
    String drop = revocation.toLowerCase(Locale.ROOT);
    switch (engine) {
      case POSTGRESQL -> postgresql(make, drop, renewal.toLowerCase(Locale.ROOT), findings);
      case MYSQL -> mysql(make, drop, findings);
      case RABBITMQ, KUBERNETES, PKI, AWS -> {}
    }
    return findings;
  }

  private static void postgresql(String make, String drop, String renew, List<String> findings) {
    if (!make.contains("valid until '{{expiration}}'")) {
      findings.add(
          "creation: without VALID UNTIL '{{expiration}}' a login that could not be dropped works"
              + " for ever");
    }
    if (OWN_GRANT.matcher(make).find()) {
      findings.add(
          "creation: grants on tables to each login make the access list of the table longer with"
              + " every lease until its row overflows; grant to a group role once, and make the"
              + " login a member: IN ROLE");
    }
    if (!MEMBERSHIP.matcher(make).find()) {
      findings.add("creation: the login is a member of no group role: IN ROLE <group>");
    }
    if (TOO_MUCH.matcher(make).find()) {
      findings.add(
          "creation: SUPERUSER, CREATEROLE, CREATEDB, BYPASSRLS and REPLICATION are more than an"
              + " agent should have");
    }
    if (drop.isBlank()) {
      findings.add(
          "revocation: Vault's own statements leave open sessions going; write them out, with"
              + " pg_terminate_backend");
      return;
    }
    int terminate = drop.indexOf("pg_terminate_backend");
    int nologin = drop.indexOf("nologin");
    if (terminate < 0) {
      findings.add(
          "revocation: without pg_terminate_backend an open session outlives its role, with all"
              + " rights of a role that it has SET");
    } else if (nologin < 0 || nologin > terminate) {
      findings.add(
          "revocation: ALTER ROLE … NOLOGIN must come before pg_terminate_backend, or a new session"
              + " begins in between");
    }
    if (nologin >= 0
        && terminate > nologin
        && !drop.substring(nologin, terminate).contains("commit")) {
      findings.add(
          "revocation: Vault runs all statements in one transaction, so nobody sees the NOLOGIN"
              + " before the end: COMMIT between it and pg_terminate_backend");
    }
    if (!drop.contains("drop role") && !drop.contains("drop user")) {
      findings.add("revocation: the role is not dropped: DROP ROLE IF EXISTS \"{{name}}\"");
    }
    if (!renew.isBlank() && !renew.contains("valid until '{{expiration}}'")) {
      findings.add(
          "renewal: without VALID UNTIL '{{expiration}}' a renewed login ends all the same");
    }
  }

  private static void mysql(String make, String drop, List<String> findings) {
    if (make.contains("grant all") || make.contains("*.*")) {
      findings.add("creation: GRANT ALL and *.* are more than an agent should have");
    }
    if (drop.isBlank() || !(drop.contains("kill") || drop.contains("end_sessions"))) {
      findings.add(
          "revocation: MySQL leaves the sessions of a dropped user open; kill them, as the"
              + " procedure valetkey_end_sessions of the shipped template does");
    }
    if (!drop.isBlank() && !drop.contains("drop user")) {
      findings.add("revocation: the user is not dropped: DROP USER IF EXISTS '{{name}}'@'%'");
    }
  }
}
