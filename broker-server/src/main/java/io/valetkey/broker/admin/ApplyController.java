package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.declaration.DeclaredSet;
import io.valetkey.broker.declaration.Replay;
import io.valetkey.broker.declaration.ReplayReport;
import io.valetkey.broker.declaration.SetReader;
import io.valetkey.broker.policy.ApplyOrder;
import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.policy.Plan;
import io.valetkey.broker.policy.PolicyApply;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.springframework.http.InvalidMediaTypeException;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Makes a declared set the policy of its owner, or says what that would mean. */
@RestController
@Hidden
class ApplyController {

  static final String YAML = "application/yaml";

  private static final String APPLY = AdminRoutes.BASE + "/apply";
  private static final int DAYS = 7;

  private static final Duration LONGEST_WAIT = Duration.ofSeconds(10);

  /** A plan holds the lock of all writers and then reads the audit trail: one at a time. */
  private final Semaphore planning = new Semaphore(1);

  private final SetReader reader;
  private final PolicyApply apply;
  private final Replay replay;

  ApplyController(SetReader reader, PolicyApply apply, Replay replay) {
    this.reader = reader;
    this.apply = apply;
    this.replay = replay;
  }

  @PostMapping(value = APPLY, consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> json(@AuthenticationPrincipal Admin admin, HttpServletRequest http)
      throws IOException {
    return apply(reader.json(new AdminRequest(http).bytes(SetReader.MAX_BYTES)), admin, http);
  }

  @PostMapping(value = APPLY, consumes = YAML)
  ResponseEntity<byte[]> yaml(@AuthenticationPrincipal Admin admin, HttpServletRequest http)
      throws IOException {
    return apply(reader.yaml(new AdminRequest(http).bytes(SetReader.MAX_BYTES)), admin, http);
  }

  private ResponseEntity<byte[]> apply(DeclaredSet set, Admin admin, HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("dryRun", "replayDays", "adopt", "allowEmpty", "ifRevision");
    ApplyOrder order = order(set, admin, request);
    int days = request.number("replayDays", DAYS, Replay.MOST_DAYS);
    return order.dryRun() ? plan(order, days, http) : answer(apply.apply(order), false, null, http);
  }

  private ResponseEntity<byte[]> plan(ApplyOrder order, int days, HttpServletRequest http) {
    try {
      if (!planning.tryAcquire(LONGEST_WAIT.toSeconds(), TimeUnit.SECONDS)) {
        throw new RefusedException(
            ProblemCode.RATE_LIMITED, "This replica is planning for somebody else already.");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RefusedException(ProblemCode.TEMPORARILY_UNAVAILABLE, "Shutting down");
    }
    try {
      Plan plan = apply.apply(order);
      return answer(plan, true, replay.of(plan, days), http);
    } finally {
      planning.release();
    }
  }

  private static ApplyOrder order(DeclaredSet set, Admin admin, AdminRequest request) {
    if (set.managedBy() == null) {
      throw new InvalidResourceException(
          ProblemCode.INVALID_FIELD,
          List.of(
              new FieldError(
                  "/managedBy", FieldError.REQUIRED, "is required: it says whose set this is")));
    }
    return new ApplyOrder(
        set.managedBy(),
        set.resources(),
        set.prune(),
        set.generation(),
        request.flag("adopt"),
        request.flag("allowEmpty"),
        request.parameter("ifRevision"),
        admin.name(),
        request.isDryRun());
  }

  private static ResponseEntity<byte[]> answer(
      Plan plan, boolean dryRun, @Nullable ReplayReport report, HttpServletRequest http) {
    if (!accepts(http, MediaType.TEXT_PLAIN)) {
      return JsonAnswers.ok(PlanAnswers.of(plan, !dryRun, report));
    }
    return ResponseEntity.ok()
        .contentType(new MediaType(MediaType.TEXT_PLAIN, StandardCharsets.UTF_8))
        .header("Cache-Control", "no-store")
        .body(PlanText.of(plan, !dryRun, report).getBytes(StandardCharsets.UTF_8));
  }

  /** Whether this is the type that is asked for; JSON is for whoever does not mind. */
  static boolean accepts(HttpServletRequest http, MediaType type) {
    String accept = http.getHeader("Accept");
    if (accept == null) {
      return false;
    }
    try {
      return MediaType.parseMediaTypes(accept).stream()
          .anyMatch(wanted -> wanted.isConcrete() && wanted.equalsTypeAndSubtype(type));
    } catch (InvalidMediaTypeException e) {
      return false;
    }
  }
}
