package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.ReceiveSecurityEvent;
import io.valetkey.broker.signal.ReceiveSignal;
import io.valetkey.broker.signal.Received;
import io.valetkey.broker.signal.Sender;
import io.valetkey.broker.signal.SensorEvent;
import io.valetkey.broker.signal.Signal;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Takes signals in. What comes in is never said back. */
@RestController
@Hidden
class SignalController {

  private static final int LARGEST_TOKEN = 64 * 1024;

  private final ReceiveSignal signals;
  private final ReceiveSecurityEvent securityEvents;
  private final PolicyView policy;
  private final AuditLog auditLog;

  SignalController(
      ReceiveSignal signals,
      ReceiveSecurityEvent securityEvents,
      PolicyView policy,
      AuditLog auditLog) {
    this.signals = signals;
    this.securityEvents = securityEvents;
    this.policy = policy;
    this.auditLog = auditLog;
  }

  /** Events of Falco, falcosidekick and Tetragon, from whoever has authenticated. */
  @PostMapping(value = AdminRoutes.SIGNALS, consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> event(
      @AuthenticationPrincipal @Nullable Admin admin, HttpServletRequest http) throws IOException {
    if (admin == null) {
      // The filter lets a request pass without a bearer if it says that it brings its own proof.
      throw new RefusedException(ProblemCode.UNAUTHORIZED, "An event needs a sender.");
    }
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("issuer");
    Sender sender = Sender.sensor(admin.name(), cluster(admin, request.parameter("issuer")));
    Signal signal = SensorEvent.read(request.bytes());
    Received received = signals.receive(signal, sender, auditLog.open("signal.received"));
    return JsonAnswers.answer(
        ResponseEntity.status(HttpStatus.ACCEPTED),
        JsonAnswers.object()
            .put("id", received.id().toString())
            .put("agent", received.agent())
            .put("action", received.action().word())
            .put("stop", received.stop() == null ? null : received.stop().toString()));
  }

  /**
   * A sensor that its cluster vouches for says nothing about another; others say which they mean.
   */
  private String cluster(Admin admin, @Nullable String asked) {
    if (admin.cluster() != null) {
      if (asked != null && !asked.equals(admin.cluster())) {
        throw new RefusedException(
            ProblemCode.FORBIDDEN, "A sensor speaks for its own cluster only.");
      }
      return admin.cluster();
    }
    TrustedIssuer issuer = asked == null ? null : policy.current().issuer(asked);
    if (issuer == null || issuer.type() != TrustedIssuer.Type.KUBERNETES) {
      throw AdminRequest.invalid(
          "The parameter issuer must name the issuer of the cluster that the event is about.");
    }
    return issuer.name();
  }

  /** A security event token, pushed (RFC 8935). It has no bearer; its signature is checked here. */
  @PostMapping(value = AdminRoutes.SIGNALS, consumes = SecurityEventAnswers.MEDIA_TYPE)
  ResponseEntity<byte[]> securityEvent(HttpServletRequest http) throws IOException {
    OpenRecord record = auditLog.open("signal.received");
    record.detail("source", "ssf");
    try {
      new AdminRequest(http).allowParameters();
      byte[] body = http.getInputStream().readNBytes(LARGEST_TOKEN + 1);
      securityEvents.receive(new String(body, StandardCharsets.ISO_8859_1), record);
      return SecurityEventAnswers.accepted();
    } catch (RefusedException e) {
      return SecurityEventAnswers.refused(recorded(record, e));
    }
  }

  /** A flood must not write itself into the trail. */
  private RefusedException recorded(OpenRecord record, RefusedException refusal) {
    return refusal.code() == ProblemCode.RATE_LIMITED ? refusal : auditLog.refuse(record, refusal);
  }
}
