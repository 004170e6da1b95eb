package io.valetkey.broker;

import io.valetkey.broker.evidence.AuditVerification;
import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import io.valetkey.broker.evidence.AuditVerification.Outcome;
import io.valetkey.broker.evidence.AuditVerifier;
import io.valetkey.broker.evidence.CheckpointKey;
import io.valetkey.broker.evidence.ExportedCheckpoints;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PublicKey;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Verifies the audit trail without a running broker: {@code java -jar broker-server.jar
 * verify-audit --url=… --user=… [--password-file=…] [--public-key=…] [--checkpoints=…]
 * [--since=…]}. Needs no more than SELECT.
 */
final class VerifyAuditCommand {

  static final String NAME = "verify-audit";

  private static final Set<String> OPTIONS =
      Set.of("url", "user", "password-file", "public-key", "checkpoints", "since");

  private VerifyAuditCommand() {}

  /** Runs it; answers 0 if the trail is sound, 1 if it is not, 2 if that could not be found out. */
  static int run(String[] arguments, PrintStream out) {
    try {
      AuditVerification verification = verify(options(arguments));
      verification
          .findings()
          .forEach(f -> out.println(f.kind().word() + "  " + f.place() + "  " + f.detail()));
      CheckpointRef last = verification.lastCheckpoint();
      out.println(
          verification.outcome().word()
              + ": "
              + verification.records()
              + " records, "
              + verification.checkpoints()
              + " checkpoints, from "
              + verification.since()
              + " to "
              + verification.until()
              + ", last checkpoint "
              + (last == null ? "none" : last.number() + " of " + last.time())
              + ", "
              + verification.trust().word());
      return verification.outcome() == Outcome.SOUND ? 0 : 1;
    } catch (IllegalArgumentException | IOException | SQLException e) {
      out.println("not verified: " + e.getMessage());
      return 2;
    }
  }

  private static Map<String, String> options(String[] arguments) {
    Map<String, String> options = new HashMap<>();
    for (int i = 1; i < arguments.length; i++) {
      int equals = arguments[i].indexOf('=');
      String name = equals < 3 ? "" : arguments[i].substring(2, equals);
      if (!arguments[i].startsWith("--") || !OPTIONS.contains(name)) {
        throw new IllegalArgumentException("there is no option " + arguments[i]);
      }
      options.put(name, arguments[i].substring(equals + 1));
    }
    if (!options.containsKey("url") || !options.containsKey("user")) {
      throw new IllegalArgumentException("--url and --user are needed");
    }
    return options;
  }

  private static AuditVerification verify(Map<String, String> options)
      throws IOException, SQLException {
    Properties login = new Properties();
    login.setProperty("user", options.get("user"));
    String passwordFile = options.get("password-file");
    if (passwordFile != null) {
      login.setProperty("password", Files.readString(Path.of(passwordFile)).strip());
    }
    String keyFile = options.get("public-key");
    @Nullable PublicKey key = keyFile == null ? null : CheckpointKey.readPublic(Path.of(keyFile));
    String exported = options.get("checkpoints");
    List<CheckpointRef> known =
        exported == null ? List.of() : ExportedCheckpoints.read(Path.of(exported));
    String url = options.get("url");
    return new AuditVerifier(
            () -> DriverManager.getConnection(url, login), key, () -> known, Duration.ofDays(1))
        .verify(since(options.get("since")), null);
  }

  private static @Nullable Instant since(@Nullable String text) {
    try {
      return text == null ? null : Instant.parse(text);
    } catch (DateTimeParseException e) {
      throw new IllegalArgumentException("--since must be a time like 2027-03-01T00:00:00Z", e);
    }
  }
}
