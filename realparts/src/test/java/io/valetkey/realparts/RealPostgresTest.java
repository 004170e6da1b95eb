package io.valetkey.realparts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.Test;

class RealPostgresTest {

  @Test
  void freshDatabase_migrated_letsTheApplicationAddToTheAuditTrailAndNotChangeIt()
      throws Exception {
    var database = RealPostgres.freshDatabase().migrate();

    try (Connection connection =
            DriverManager.getConnection(database.url(), RealPostgres.APPLICATION, "");
        Statement statement = connection.createStatement()) {
      assertThat(statement.executeQuery("SELECT count(*) FROM audit_record").next()).isTrue();
      assertThatThrownBy(() -> statement.execute("DELETE FROM audit_record"))
          .isInstanceOf(SQLException.class)
          .hasMessageContaining("permission denied");
    }
  }

  @Test
  void freshDatabase_sharesNothingWithTheOneBefore() throws Exception {
    var first = RealPostgres.freshDatabase();
    var second = RealPostgres.freshDatabase();

    assertThat(first.url()).isNotEqualTo(second.url());
    try (Connection connection = DriverManager.getConnection(second.urlFor(RealPostgres.OWNER));
        Statement statement = connection.createStatement()) {
      assertThat(statement.execute("CREATE TABLE mine (id int)")).isFalse();
    }
  }
}
