package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.console.LiveController.Wish;
import io.valetkey.broker.control.AuditTrailQuery;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Searches the audit trail, page by page, as far back as somebody asks. */
@RestController
@Hidden
class AuditPage {

  private static final int ROWS = 100;
  private static final int LONGEST_DAYS = 366;

  private final AuditTrailQuery trail;
  private final Pages pages;
  private final Clock clock;

  AuditPage(AuditTrailQuery trail, Pages pages, Clock clock) {
    this.trail = trail;
    this.pages = pages;
    this.clock = clock;
  }

  @GetMapping(ConsoleRoutes.AUDIT)
  ResponseEntity<byte[]> search(HttpServletRequest request) {
    Wish wish = Wish.of(request);
    int days = days(request.getParameter("days"));
    AuditTrailQuery.Filter filter = wish.from(clock.instant().minus(Duration.ofDays(days)));
    var page =
        wish.wrong()
            ? new AuditTrailQuery.Page(List.of(), null)
            : trail.page(filter, ROWS, request.getParameter("cursor"));
    return pages.page(
        "audit.jte",
        pages.frame("Audit", "audit", Session.of(request)),
        Map.of(
            "wish",
            wish,
            "since",
            VerificationPage.dayBefore(clock),
            "days",
            days,
            "events",
            page.records().stream().map(Event::of).toList(),
            "next",
            page.next() == null ? "" : page.next()));
  }

  private static int days(@Nullable String text) {
    return text != null && text.matches("[1-9][0-9]{0,2}")
        ? Math.min(Integer.parseInt(text), LONGEST_DAYS)
        : 1;
  }
}
