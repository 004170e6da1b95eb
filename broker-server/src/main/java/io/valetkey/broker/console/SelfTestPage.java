package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.DestinationTests;
import io.valetkey.broker.upstream.SelfTestStep;
import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Tries a destination out, for real, and shows how far it came. */
@RestController
@Hidden
class SelfTestPage {

  private final DestinationTests tests;
  private final Pages pages;

  SelfTestPage(DestinationTests tests, Pages pages) {
    this.tests = tests;
    this.pages = pages;
  }

  @PostMapping(ConsoleRoutes.DESTINATIONS + "/{name}/test")
  ResponseEntity<byte[]> test(@PathVariable("name") String name, HttpServletRequest request) {
    String path = field(request, "path");
    var wish =
        new DestinationTests.Wish(
            field(request, "scope"), path == null ? null : field(request, "method"), path);
    List<SelfTestStep> steps = tests.run(name, wish, Session.of(request).admin());
    return pages.page(
        "selftest.jte",
        pages.frame("Self-test of " + name, "destinations", Session.of(request)),
        Map.of(
            "name", name,
            "steps", steps,
            "passed", steps.stream().noneMatch(SelfTestStep::failed)));
  }

  /** A field that was left empty is one that was left out. */
  private static @Nullable String field(HttpServletRequest request, String name) {
    String value = request.getParameter(name);
    return value == null || value.isBlank() ? null : value.strip();
  }
}
