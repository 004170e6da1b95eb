package io.valetkey.broker.evidence;

import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The checkpoints among the events that a sink has taken, one event a line, also in OCSF. */
public final class ExportedCheckpoints {

  private static final JsonMapper JSON = JsonMapper.shared();

  private ExportedCheckpoints() {}

  /**
   * Reads them; other lines are passed over. Which key signed them does not matter: the database
   * must hold every one of them.
   *
   * @throws IllegalArgumentException if one is not signed, or if there is none
   */
  public static List<CheckpointRef> read(Path file) throws IOException {
    List<CheckpointRef> checkpoints = new ArrayList<>();
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      String line = lines.readLine();
      while (line != null) {
        String jws = jws(line);
        if (jws != null) {
          checkpoints.add(checkpoint(new SignedCheckpoint(jws)));
        }
        line = lines.readLine();
      }
    }
    if (checkpoints.isEmpty()) {
      throw new IllegalArgumentException("there is no checkpoint in " + file);
    }
    return List.copyOf(checkpoints);
  }

  private static @Nullable String jws(String line) {
    if (!line.contains("\"checkpoint\"")) {
      return null;
    }
    try {
      JsonNode event = JSON.readTree(line);
      if (event.path("type").asString("").equals("checkpoint")) {
        return event.path("jws").asString("");
      }
      boolean ocsf = event.at("/metadata/event_code").asString("").equals("checkpoint");
      return ocsf ? event.at("/unmapped/valetkey/jws").asString("") : null;
    } catch (JacksonException e) {
      return null;
    }
  }

  private static CheckpointRef checkpoint(SignedCheckpoint signed) {
    Checkpoint statement = signed.statement();
    if (statement == null || !signed.isSignedByItsOwnKey()) {
      throw new IllegalArgumentException("an exported checkpoint is not signed");
    }
    return new CheckpointRef(statement.number(), statement.time(), signed.hash());
  }
}
