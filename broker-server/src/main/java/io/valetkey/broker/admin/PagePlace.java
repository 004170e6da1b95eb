package io.valetkey.broker.admin;

import io.valetkey.broker.control.UtcTime;
import io.valetkey.broker.policy.PageCursor;
import java.time.Instant;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Where a page of a list begins that goes from the newest to the oldest.
 *
 * @param time the time of the last item of the page before; null for the first page
 * @param id its id
 */
record PagePlace(@Nullable Instant time, @Nullable UUID id) {

  private static final Pattern ID = Pattern.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");

  static PagePlace of(AdminRequest request) {
    String cursor = request.parameter("cursor");
    if (cursor == null) {
      return new PagePlace(null, null);
    }
    String[] parts = PageCursor.decode(cursor).split(" ", -1);
    UUID id = parts.length == 2 ? id(parts[1]) : null;
    if (id == null) {
      throw AdminRequest.invalid("The cursor is not one that an earlier page gave.");
    }
    return new PagePlace(UtcTime.parse(parts[0]), id);
  }

  /** The cursor of the page that follows this item. */
  static String after(Instant time, UUID id) {
    return PageCursor.encode(time + " " + id);
  }

  /** The id in its one form, or null. */
  static @Nullable UUID id(String text) {
    return ID.matcher(text).matches() ? UUID.fromString(text) : null;
  }
}
