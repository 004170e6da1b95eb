package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.DestinationTests;
import io.valetkey.broker.control.DestinationTests.Wish;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.upstream.SelfTestStep;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.List;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Tries a destination out, for real. */
@RestController
@Hidden
class SelfTestController {

  private final DestinationTests tests;
  private final StrictJson json = new StrictJson();

  SelfTestController(DestinationTests tests) {
    this.tests = tests;
  }

  @PostMapping(AdminRoutes.BASE + "/destinations/{name}/test")
  ResponseEntity<byte[]> test(
      @PathVariable("name") String name,
      @AuthenticationPrincipal Admin admin,
      HttpServletRequest http)
      throws IOException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters();
    List<SelfTestStep> steps = tests.run(name, wish(request, http), admin);
    return JsonAnswers.ok(document(steps.stream().anyMatch(SelfTestStep::failed), steps));
  }

  /** The body may be left out. */
  private Wish wish(AdminRequest request, HttpServletRequest http) throws IOException {
    boolean empty = http.getContentLengthLong() <= 0 && http.getHeader("Transfer-Encoding") == null;
    return empty
        ? new Wish(null, null, null)
        : JsonFields.read(
            request.body(json),
            fields -> new Wish(fields.text("scope"), fields.text("method"), fields.text("path")));
  }

  private static ObjectNode document(boolean failed, List<SelfTestStep> steps) {
    ObjectNode document = JsonAnswers.object().put("outcome", failed ? "failed" : "passed");
    ArrayNode list = document.putArray("steps");
    for (SelfTestStep step : steps) {
      list.addObject()
          .put("step", step.step())
          .put("result", step.result())
          .put("detail", step.detail());
    }
    return document;
  }
}
