package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.control.TrailVerification;
import io.valetkey.broker.control.UtcTime;
import io.valetkey.broker.evidence.AuditVerification;
import io.valetkey.broker.evidence.Finding;
import jakarta.servlet.http.HttpServletRequest;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Shows whether the audit trail is as it was written. */
@RestController
@Hidden
class VerificationPage {

  private static final Logger log = LoggerFactory.getLogger(VerificationPage.class);

  private final TrailVerification verification;
  private final AuditTrailQuery trail;
  private final Pages pages;
  private final Clock clock;

  VerificationPage(
      TrailVerification verification, AuditTrailQuery trail, Pages pages, Clock clock) {
    this.verification = verification;
    this.trail = trail;
    this.pages = pages;
    this.clock = clock;
  }

  /**
   * A finding.
   *
   * @param decision the decision that the named record is of; empty if there is none to be seen
   */
  record Found(String kind, String place, String detail, String decision) {}

  /** From when on one verifies who does not say. */
  static String dayBefore(Clock clock) {
    return clock.instant().minus(Duration.ofDays(1)).truncatedTo(ChronoUnit.SECONDS).toString();
  }

  @GetMapping(ConsoleRoutes.VERIFICATION)
  ResponseEntity<byte[]> verify(HttpServletRequest request) throws SQLException {
    String asked = request.getParameter("since");
    String since = asked == null ? dayBefore(clock) : asked.strip();
    String until = Objects.requireNonNullElse(request.getParameter("until"), "").strip();
    AuditVerification answer = verification.verify(instant(since), instant(until));
    Map<String, UUID> decisions = decisions(answer);
    List<Found> findings =
        answer.findings().stream()
            .map(finding ->
                new Found(
                    finding.kind().word().replace('_', ' '),
                    finding.place(),
                    finding.detail(),
                    Objects.toString(decisions.get(finding.place()), "")))
            .toList();
    return pages.page(
        "verification.jte",
        pages.frame("Verification", "audit", Session.of(request)),
        Map.of("since", since, "until", until, "answer", answer, "findings", findings));
  }

  /** What is wrong must be seen, also if its decisions are not found in time. */
  private Map<String, UUID> decisions(AuditVerification answer) {
    List<String> places = answer.findings().stream().map(Finding::place).toList();
    try {
      return trail.decisionsAt(places, answer.since(), answer.until());
    } catch (DataAccessException e) {
      log.warn("Findings are shown without links: {}", e.getClass().getSimpleName());
      return Map.of();
    }
  }

  private static @Nullable Instant instant(String text) {
    return text.isEmpty() ? null : UtcTime.parse(text);
  }
}
