package io.valetkey.broker.approval;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads what waits for a decision and what became of it, for those who decide. */
public final class ApprovalBook {

  private static final Pattern ID = Pattern.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");

  private final ApprovalSteps steps;

  ApprovalBook(ApprovalSteps steps) {
    this.steps = steps;
  }

  /**
   * Which approvals are meant; null means whichever.
   *
   * @param createdBefore only those that were asked for before this time
   * @param beforeId and, of those of exactly this time, with a smaller id
   */
  public record Filter(
      @Nullable String agent,
      @Nullable String destination,
      @Nullable ApprovalState state,
      @Nullable Instant createdBefore,
      @Nullable UUID beforeId) {}

  /** Approvals that fit, newest first, at most {@code limit}. */
  public List<Approval> list(Filter filter, int limit) {
    List<String> where = new ArrayList<>(List.of("TRUE"));
    Map<String, Object> values = new LinkedHashMap<>();
    equal("a.agent", filter.agent(), where, values);
    equal("a.destination", filter.destination(), where, values);
    ApprovalState state = filter.state();
    equal(ApprovalRows.STATE, state == null ? null : state.word(), where, values);
    if (filter.createdBefore() != null && filter.beforeId() != null) {
      where.add("(a.created_at, a.id) < (:time, :id)");
      values.put("time", filter.createdBefore().atOffset(ZoneOffset.UTC));
      values.put("id", filter.beforeId());
    }
    values.put("limit", limit);
    return steps.reading(() ->
        steps
            .sql(
                "SELECT "
                    + ApprovalRows.COLUMNS
                    + " FROM approval a WHERE "
                    + String.join(" AND ", where)
                    + " ORDER BY a.created_at DESC, a.id DESC LIMIT :limit")
            .params(values)
            .query(ApprovalRows::read)
            .list());
  }

  private static void equal(
      String expression, @Nullable String value, List<String> where, Map<String, Object> values) {
    if (value != null) {
      String name = "v" + values.size();
      where.add(expression + " = :" + name);
      values.put(name, value);
    }
  }

  /** The approval with this id. */
  public Optional<Approval> find(UUID id) {
    return steps.reading(() ->
        steps
            .sql("SELECT " + ApprovalRows.COLUMNS + " FROM approval a WHERE a.id = ?")
            .param(id)
            .query(ApprovalRows::read)
            .optional());
  }

  /** The body of its request; empty once it has ended. */
  public byte[] body(UUID id) {
    return steps.reading(() ->
        steps
            .sql("SELECT coalesce(body, '') FROM approval WHERE id = ?")
            .param(id)
            .query((row, number) -> row.getBytes(1))
            .optional()
            .orElseGet(() -> new byte[0]));
  }

  /** A body as the text that it is, in UTF-8; null if it is none. */
  public static @Nullable String text(byte[] body) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(body)).toString();
    } catch (CharacterCodingException e) {
      return null;
    }
  }

  /** The id that this is, in the one form of an id; null if it is none. */
  public static @Nullable UUID id(String text) {
    return ID.matcher(text).matches() ? UUID.fromString(text) : null;
  }
}
