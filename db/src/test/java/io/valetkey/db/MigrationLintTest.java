package io.valetkey.db;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * While an upgrade rolls, the former version works on the schema of the next one. So a migration
 * may add, and not take away: what the former version reads and writes stays as it was. A statement
 * that must take away says from which version on nobody uses it, in a line of comment before it:
 * {@code -- contract: unused since 0.3}; one that replaces a constraint by another that refuses the
 * same says {@code -- contract: still enforced}. The first four migrations were before the first
 * release.
 */
class MigrationLintTest {

  private static final Path MIGRATIONS = Path.of("src", "main", "resources", "db", "migration");
  private static final int BEFORE_THE_FIRST_RELEASE = 4;
  private static final Pattern FILE = Pattern.compile("V(\\d+)__\\w+\\.sql");
  private static final Pattern BODY = Pattern.compile("(?s)\\$\\$.*?\\$\\$");
  private static final Pattern COMMENT = Pattern.compile("(?m)--.*$");
  private static final Pattern MARKER =
      Pattern.compile("(?m)^-- contract: (unused since \\d+\\.\\d+|still enforced)$");
  private static final Pattern TAKES_AWAY =
      Pattern.compile(
          "(?is)\\b(DROP\\s+(?!NOT\\s+NULL|DEFAULT)|RENAME\\b|TRUNCATE\\b|REVOKE\\b(?!.*FROM\\s+PUBLIC)|SET\\s+NOT\\s+NULL"
              + "|ALTER\\s+(COLUMN\\s+)?\\w+\\s+(SET\\s+DATA\\s+)?TYPE\\b"
              + "|ADD\\s+(CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\\b"
              + "|ADD\\s+(COLUMN\\s+)?\\w+\\s+(?![^,;]*\\bDEFAULT\\b)[^,;]*\\bNOT\\s+NULL\\b)");
  private static final Pattern CREATED = Pattern.compile("(?i)CREATE\\s+TABLE\\s+(\\w+)");
  private static final Pattern UNIQUE =
      Pattern.compile("(?i)CREATE\\s+UNIQUE\\s+INDEX\\s+\\w+\\s+ON\\s+(\\w+)");

  /** Every statement that the former version might not survive. */
  private static List<String> dangerous(String migration) {
    // Bodies of functions run when they are called, not while the schema changes.
    String sql = BODY.matcher(migration).replaceAll("''");
    sql = COMMENT.matcher(sql).replaceAll(comment -> comment.group().replace(";", ","));
    List<String> created = CREATED.matcher(sql).results().map(r -> r.group(1)).toList();
    List<String> found = new ArrayList<>();
    for (String statement : sql.split(";")) {
      String code = COMMENT.matcher(statement).replaceAll("");
      Matcher unique = UNIQUE.matcher(code);
      boolean taken =
          TAKES_AWAY.matcher(code).find() || (unique.find() && !created.contains(unique.group(1)));
      if (taken && !MARKER.matcher(statement).find()) {
        found.add(code.strip());
      }
    }
    return found;
  }

  @Test
  void migrations_leaveTheFormerVersionWorking() throws IOException {
    List<Path> checked = new ArrayList<>();
    try (Stream<Path> files = Files.list(MIGRATIONS)) {
      for (Path file : files.sorted().toList()) {
        Matcher name = FILE.matcher(file.getFileName().toString());
        assertThat(name.matches()).as(file.toString()).isTrue();
        if (Integer.parseInt(name.group(1)) > BEFORE_THE_FIRST_RELEASE) {
          assertThat(dangerous(Files.readString(file))).as(file.toString()).isEmpty();
        }
        checked.add(file);
      }
    }
    assertThat(checked).hasSizeGreaterThanOrEqualTo(BEFORE_THE_FIRST_RELEASE);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "DROP TABLE agent;",
        "ALTER TABLE agent DROP COLUMN spec;",
        "ALTER TABLE agent RENAME COLUMN spec TO document;",
        "ALTER TABLE agent RENAME TO workload;",
        "ALTER TABLE agent ALTER COLUMN spec SET NOT NULL;",
        "ALTER TABLE agent ALTER COLUMN version TYPE int;",
        "ALTER TABLE agent ADD COLUMN owner text NOT NULL;",
        "ALTER TABLE agent ADD CONSTRAINT short CHECK (length(name) < 9);",
        "CREATE UNIQUE INDEX one_spec ON agent (spec);",
        "REVOKE INSERT ON agent FROM valetkey_app;",
        "TRUNCATE agent;",
      })
  void lint_findsWhatTakesAway(String statement) {
    assertThat(dangerous(statement)).hasSize(1);
    assertThat(dangerous("-- contract: unused since 0.3\n" + statement)).isEmpty();
    assertThat(dangerous("-- contract: surely\n" + statement)).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "CREATE TABLE fresh (a text NOT NULL); CREATE UNIQUE INDEX one ON fresh (a);",
        "ALTER TABLE agent ADD COLUMN owner text;",
        "ALTER TABLE agent ADD COLUMN weight bigint NOT NULL DEFAULT 0;",
        "ALTER TABLE agent ALTER COLUMN spec DROP NOT NULL;",
        "REVOKE ALL ON FUNCTION f() FROM PUBLIC;",
        "CREATE INDEX agent_version ON agent (version);",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE x; END $$;",
        "-- This does not DROP anything.\nGRANT SELECT ON agent TO valetkey_app;",
      })
  void lint_letsPassWhatAdds(String statement) {
    assertThat(dangerous(statement)).isEmpty();
  }
}
