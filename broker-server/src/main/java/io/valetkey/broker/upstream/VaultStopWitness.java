package io.valetkey.broker.upstream;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.HistoryPoint;
import io.valetkey.broker.stop.StopOrder;
import io.valetkey.broker.stop.StopTarget;
import io.valetkey.broker.stop.StopWitness;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.vault.VaultException;
import org.springframework.vault.support.Versioned;
import org.springframework.web.client.RestClientException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The witness of stops at one path of a key-value engine (version 2) of Vault or OpenBao, written
 * by check-and-set, so that replicas never overwrite what they have not read.
 */
public final class VaultStopWitness implements StopWitness {

  /** Vault takes a megabyte in one entry by default. */
  private static final int LONGEST = 900_000;

  private static final int LONGEST_REASON = 100;
  private static final JsonMapper JSON = JsonMapper.shared();

  private final VaultConnection vault;
  private final String mount;
  private final String path;

  /**
   * Reads and writes through this connection, which belongs to the caller.
   *
   * @throws IllegalArgumentException if mount or path is not a plain Vault path
   */
  public VaultStopWitness(VaultConnection vault, String mount, String path) {
    VaultPath.requirePath("the mount of the witness", mount);
    VaultPath.requirePath("the path of the witness", path);
    this.vault = vault;
    this.mount = mount;
    this.path = path;
  }

  /** Whether this can be the mount or the path of a witness. */
  public static boolean isPath(String text) {
    return VaultPath.isPath(text);
  }

  @Override
  public Optional<Kept> read() {
    try {
      Versioned<Map<String, Object>> kept =
          vault.call(operations -> operations.opsForVersionedKeyValue(mount).get(path));
      if (kept == null) {
        return Optional.empty();
      }
      int version = kept.getVersion().getVersion();
      return Optional.of(
          new Kept(kept.hasData() ? testimony(kept.getRequiredData()) : null, version));
    } catch (VaultException | RestClientException e) {
      throw away("cannot be read", e);
    }
  }

  @Override
  public boolean write(Testimony testimony, int version) {
    String stops = write(testimony.inForce());
    if (stops.length() > LONGEST) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "more stops are in force than a witness can hold");
    }
    Map<String, String> data =
        Map.of(
            "epoch", Long.toString(testimony.point().epoch()),
            "mark", testimony.point().mark().toString(),
            "stops", stops);
    Map<String, Object> body = Map.of("data", data, "options", Map.of("cas", version));
    try {
      var _ = vault.call(operations -> operations.write(mount + "/data/" + path, body));
      return true;
    } catch (VaultException | RestClientException e) {
      if (VaultConnection.status(e) == HttpStatus.BAD_REQUEST.value()
          && String.valueOf(e.getMessage()).contains("check-and-set")) {
        return false;
      }
      throw away("cannot be written", e);
    }
  }

  private RefusedException away(String what, RuntimeException failure) {
    int status = VaultConnection.status(failure);
    return new RefusedException(
        ProblemCode.TEMPORARILY_UNAVAILABLE,
        "the witness of stops at "
            + mount
            + "/"
            + path
            + " "
            + what
            + (status == 0 ? ": Vault did not answer" : ": Vault answered " + status));
  }

  private static String write(List<StopOrder> stops) {
    ArrayNode array = JSON.createArrayNode();
    for (StopOrder stop : stops) {
      String reason = stop.reason();
      ObjectNode node = array.addObject();
      node.put("id", stop.id().toString());
      node.put("epoch", stop.epoch());
      node.put("kind", stop.target().kind().word());
      node.put("target", stop.target().value());
      node.put("reason", reason.substring(0, Math.min(LONGEST_REASON, reason.length())));
      node.put("createdAt", stop.createdAt().toString());
      node.put("createdBy", stop.createdBy());
      node.put("expiresAt", stop.expiresAt() == null ? null : stop.expiresAt().toString());
    }
    return JSON.writeValueAsString(array);
  }

  /** What somebody else wrote there, or an older form, is not taken for "nothing is stopped". */
  private Testimony testimony(Map<String, Object> data) {
    try {
      var point =
          new HistoryPoint(
              Long.parseLong(text(data, "epoch")), UUID.fromString(text(data, "mark")));
      List<StopOrder> stops = new ArrayList<>();
      for (JsonNode node : JSON.readTree(text(data, "stops"))) {
        stops.add(stop(node));
      }
      return new Testimony(point, stops);
    } catch (IllegalArgumentException | JacksonException | java.time.DateTimeException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE,
          "the witness of stops at " + mount + "/" + path + " holds something else");
    }
  }

  private static StopOrder stop(JsonNode node) {
    var kind = StopTarget.Kind.valueOf(node.required("kind").asString().toUpperCase(Locale.ROOT));
    JsonNode end = node.required("expiresAt");
    return new StopOrder(
        UUID.fromString(node.required("id").asString()),
        node.required("epoch").asLong(),
        new StopTarget(kind, node.required("target").asString()),
        node.required("reason").asString(),
        Instant.parse(node.required("createdAt").asString()),
        node.required("createdBy").asString(),
        end.isNull() ? null : Instant.parse(end.asString()),
        null,
        null,
        null);
  }

  private static String text(Map<String, Object> data, String field) {
    @Nullable Object value = data.get(field);
    if (value instanceof String text) {
      return text;
    }
    throw new IllegalArgumentException("there is no " + field);
  }
}
