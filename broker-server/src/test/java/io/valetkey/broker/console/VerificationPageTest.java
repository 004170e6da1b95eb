package io.valetkey.broker.console;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.control.Role;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What the owner of the database changed is seen in the console, at the record that it was. */
class VerificationPageTest {

  private static void sql(RunningBroker broker, String statement) throws Exception {
    try (var owner = broker.database();
        var sql = owner.createStatement()) {
      assertThat(sql.executeUpdate(statement)).isEqualTo(1);
    }
  }

  private static String text(RunningBroker broker, String query) throws Exception {
    try (var owner = broker.database();
        var rows = owner.createStatement().executeQuery(query)) {
      assertThat(rows.next()).isTrue();
      return rows.getString(1);
    }
  }

  @Test
  void verify_showsWhatTheOwnerOfTheDatabaseDid_untilItIsPutBack() throws Exception {
    try (RunningBroker broker = RunningBroker.start(Map.of())) {
      AuditLog log = broker.bean(AuditLog.class);
      for (String agent : new String[] {"good", "bad", "gone"}) {
        log.await(log.open("test.write").agent(agent).granted(-1));
      }
      String place = "SELECT writer || '.' || seq FROM audit_record WHERE agent = '%s'";
      String bad = text(broker, place.formatted("bad"));
      String gone = text(broker, place.formatted("gone"));
      String decision = text(broker, "SELECT decision_id FROM audit_record WHERE agent = 'bad'");
      Visitor viewer = new Visitor(broker, Role.VIEWER);

      assertThat(viewer.get(ConsoleRoutes.AUDIT).body()).contains("Verify the trail");
      String sound = viewer.get(ConsoleRoutes.VERIFICATION).body();
      assertThat(sound)
          .contains(">sound<")
          .contains("Keys that stand in the database itself")
          .contains("/admin/v1/audit/verification?since=")
          .doesNotContain(">tampered<", "record changed");
      assertThat(sound).doesNotContain("<dt>Records</dt><dd class=\"num\">0</dd>");

      sql(broker, "UPDATE audit_record SET outcome = 'refused' WHERE agent = 'bad'");
      assertThat(viewer.get(ConsoleRoutes.VERIFICATION).body())
          .contains(">tampered<", "record changed")
          .contains("<a href=\"/console/decisions/" + decision + "\">" + bad + "</a>")
          .doesNotContain(">sound<");
      assertThat(viewer.get(ConsoleRoutes.DECISIONS + "/" + decision).statusCode()).isEqualTo(200);
      sql(broker, "UPDATE audit_record SET outcome = 'granted' WHERE agent = 'bad'");
      assertThat(viewer.get(ConsoleRoutes.VERIFICATION).body()).contains(">sound<");

      sql(broker, "DELETE FROM audit_record WHERE agent = 'gone'");
      assertThat(viewer.get(ConsoleRoutes.VERIFICATION + "?since=&until=").body())
          .contains(">tampered<", "record removed", gone)
          .doesNotContain("<a href=\"/console/decisions/");
      assertThat(viewer.get(ConsoleRoutes.VERIFICATION + "?since=yesterday").statusCode())
          .isEqualTo(400);
    }
  }
}
