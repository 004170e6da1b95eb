package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.TrailVerification;
import io.valetkey.broker.control.UtcTime;
import io.valetkey.broker.evidence.AuditVerification;
import io.valetkey.broker.evidence.Finding;
import jakarta.servlet.http.HttpServletRequest;
import java.sql.SQLException;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Verifies the audit trail. */
@RestController
@Hidden
class VerificationController {

  private final TrailVerification verification;

  VerificationController(TrailVerification verification) {
    this.verification = verification;
  }

  @GetMapping(AdminRoutes.BASE + "/audit/verification")
  ResponseEntity<byte[]> verify(HttpServletRequest http) throws SQLException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("since", "until");
    Instant since = instant(request.parameter("since"));
    Instant until = instant(request.parameter("until"));
    return JsonAnswers.ok(document(verification.verify(since, until)));
  }

  private static @Nullable Instant instant(@Nullable String text) {
    return text == null ? null : UtcTime.parse(text);
  }

  private static ObjectNode document(AuditVerification verification) {
    ObjectNode document = JsonAnswers.object();
    document.put("outcome", verification.outcome().word());
    document.put("since", verification.since().toString());
    document.put("until", verification.until().toString());
    document.put("records", verification.records());
    document.put("checkpoints", verification.checkpoints());
    document.put("trust", verification.trust().word());
    var last = verification.lastCheckpoint();
    if (last == null) {
      document.putNull("last_checkpoint");
    } else {
      ObjectNode checkpoint = document.putObject("last_checkpoint");
      checkpoint.put("number", last.number());
      checkpoint.put("time", last.time().toString());
      checkpoint.put("hash", last.hash());
    }
    ArrayNode findings = document.putArray("findings");
    for (Finding finding : verification.findings()) {
      ObjectNode entry = findings.addObject();
      entry.put("kind", finding.kind().word());
      entry.put("place", finding.place());
      entry.put("detail", finding.detail());
    }
    return document;
  }
}
