package io.valetkey.broker.console;

import io.valetkey.broker.control.StopOrders;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import org.jspecify.annotations.Nullable;

/** The reason that somebody gives in a form. */
final class FormReason {

  private FormReason() {}

  /**
   * The field {@code reason}, without white space around it.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it is not one line of a length
   *     that a reason may have
   */
  static String of(HttpServletRequest request) {
    @Nullable String reason = request.getParameter("reason");
    if (reason == null || !StopOrders.isReason(reason)) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST,
          "The reason must be one line of 1 to " + StopOrders.LONGEST_REASON + " characters.");
    }
    return reason.strip();
  }
}
