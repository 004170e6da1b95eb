package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Clock;
import java.util.UUID;
import org.apache.tomcat.util.http.InvalidParameterException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.webmvc.error.ErrorController;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.dao.QueryTimeoutException;
import org.springframework.dao.TransientDataAccessException;
import org.springframework.security.web.firewall.RequestRejectedException;
import org.springframework.transaction.TransactionException;
import org.springframework.web.ErrorResponse;
import org.springframework.web.HttpRequestMethodNotSupportedException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.bind.annotation.RestControllerAdvice;

/**
 * The one place where a failure becomes an answer, whether a controller, Spring MVC or the
 * container met it. What is not foreseen is said to be our fault, under an id; the log has the
 * rest.
 */
@RestControllerAdvice
@RestController
@Hidden
class AdminErrors implements ErrorController {

  private static final Logger log = LoggerFactory.getLogger(AdminErrors.class);

  private final Problems problems;
  private final Clock clock;

  AdminErrors(Problems problems, Clock clock) {
    this.problems = problems;
    this.clock = clock;
  }

  @ExceptionHandler
  void invalid(InvalidResourceException e, HttpServletResponse response) throws IOException {
    problems.write(response, e.code(), e.detail(), e.errors());
  }

  @ExceptionHandler
  void refused(RefusedException e, HttpServletResponse response) throws IOException {
    problems.write(response, e.code(), e.detail());
  }

  @ExceptionHandler
  void wrongMethod(
      HttpRequestMethodNotSupportedException e,
      HttpServletRequest request,
      HttpServletResponse response)
      throws IOException {
    response.setHeader("Allow", String.join(", ", AdminRoutes.methods(request)));
    problems.write(response, ProblemCode.METHOD_NOT_ALLOWED, null);
  }

  @ExceptionHandler({
    TransientDataAccessException.class,
    DataAccessResourceFailureException.class,
    QueryTimeoutException.class,
    TransactionException.class
  })
  void unavailable(Exception e, HttpServletResponse response) throws IOException {
    log.warn("The database did not answer: {}", e.getClass().getSimpleName());
    problems.write(
        response, ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer in time.");
  }

  @ExceptionHandler
  void unforeseen(Exception e, HttpServletResponse response) throws IOException {
    if (e instanceof ErrorResponse error && error.getStatusCode().is4xxClientError()) {
      problems.writeStatus(response, error.getStatusCode().value());
      return;
    }
    if (isTheCallersFault(e)) {
      problems.write(response, ProblemCode.INVALID_REQUEST, null);
      return;
    }
    UUID id = DecisionId.at(clock.instant());
    log.error("A request failed, id {}", id, e);
    problems.writeInternal(response, id);
  }

  /** The container and the firewall look at parameters only when somebody asks for them. */
  private static boolean isTheCallersFault(@Nullable Object failure) {
    for (Object e = failure; e instanceof Throwable t; e = t.getCause()) {
      if (t instanceof InvalidParameterException || t instanceof RequestRejectedException) {
        return true;
      }
    }
    return false;
  }

  /** What the container could not handle, and what a filter left unhandled. */
  @RequestMapping("${spring.web.error.path:${error.path:/error}}")
  void container(HttpServletRequest request, HttpServletResponse response) throws IOException {
    Object status = request.getAttribute(RequestDispatcher.ERROR_STATUS_CODE);
    if (!(status instanceof Integer code)) {
      problems.write(response, ProblemCode.NOT_FOUND, null);
    } else if (code < 500 || code == 503) {
      problems.writeStatus(response, code);
    } else if (isTheCallersFault(request.getAttribute(RequestDispatcher.ERROR_EXCEPTION))) {
      problems.write(response, ProblemCode.INVALID_REQUEST, null);
    } else {
      UUID id = DecisionId.at(clock.instant());
      Object cause = request.getAttribute(RequestDispatcher.ERROR_EXCEPTION);
      log.error("A request failed, id {}", id, cause instanceof Throwable e ? e : null);
      problems.writeInternal(response, id);
    }
  }
}
