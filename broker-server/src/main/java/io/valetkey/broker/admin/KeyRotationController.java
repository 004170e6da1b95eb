package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.token.KeyRotation;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.time.Clock;
import java.util.Map;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Orders new signing keys, for when somebody may have got at one. */
@RestController
@Hidden
class KeyRotationController {

  static final String ROTATIONS = AdminRoutes.BASE + "/signing-keys/rotations";

  private final KeyRotation rotation;
  private final Clock clock;
  private final StrictJson json = new StrictJson();

  private record Wish(String reason, boolean revoke) {}

  KeyRotationController(KeyRotation rotation, Clock clock) {
    this.rotation = rotation;
    this.clock = clock;
  }

  @PostMapping(value = ROTATIONS, consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> order(@AuthenticationPrincipal Admin admin, HttpServletRequest http)
      throws IOException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters();
    Wish wish = JsonFields.read(request.body(json), KeyRotationController::read);
    AuditRecord record =
        AuditRecord.done(
            clock,
            "signing_keys.rotate",
            Map.of("actor", admin.name(), "reason", wish.reason(), "revoke", wish.revoke()));
    long generation = rotation.order(wish.revoke(), record);
    var document = JsonAnswers.object();
    document.put("generation", generation).put("revoked", wish.revoke());
    return JsonAnswers.answer(ResponseEntity.status(HttpStatus.CREATED), document);
  }

  private static Wish read(JsonFields fields) {
    String reason = StopRequest.reason(fields);
    return new Wish(reason, fields.required("revoke", fields.flag("revoke"), false));
  }
}
