package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.Arrays;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** What the {@code type} of a problem leads to (RFC 9457 section 3.1.1). */
@RestController
@Hidden
class ProblemCatalogue {

  @GetMapping("/problems/{code}")
  ResponseEntity<byte[]> problem(@PathVariable("code") String code) {
    ProblemCode problem =
        Arrays.stream(ProblemCode.values())
            .filter(known -> known.code().equals(code))
            .findFirst()
            .orElseThrow(
                () -> new RefusedException(ProblemCode.NOT_FOUND, "There is no such problem."));
    return JsonAnswers.ok(
        JsonAnswers.object()
            .put("code", problem.code())
            .put("title", problem.title())
            .put("status", problem.status())
            .put("retryable", problem.retryable()));
  }
}
