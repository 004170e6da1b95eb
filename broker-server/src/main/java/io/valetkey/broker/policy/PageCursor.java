package io.valetkey.broker.policy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Where a list goes on, in a form that nobody is tempted to take apart. */
public final class PageCursor {

  private PageCursor() {}

  /** The cursor behind a key. */
  public static String encode(String key) {
    return Base64.getUrlEncoder()
        .withoutPadding()
        .encodeToString(key.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * The key of a cursor.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it is not spelled as {@link
   *     #encode} does
   */
  public static String decode(String cursor) {
    try {
      String key = new String(Base64.getUrlDecoder().decode(cursor), StandardCharsets.UTF_8);
      if (!key.isEmpty() && key.indexOf('\0') < 0 && encode(key).equals(cursor)) {
        return key;
      }
    } catch (IllegalArgumentException e) {
      // Refused below, like any other cursor that did not come from here.
    }
    throw new RefusedException(
        ProblemCode.INVALID_REQUEST, "The cursor is not one that an earlier page gave.");
  }
}
