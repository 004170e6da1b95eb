package io.valetkey.broker.console;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.sql.SQLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.dao.DataAccessException;
import org.springframework.http.ResponseEntity;
import org.springframework.transaction.TransactionException;
import org.springframework.web.bind.annotation.ControllerAdvice;
import org.springframework.web.bind.annotation.ExceptionHandler;

/** Shows as a page what the admin API would say as a problem document. */
@ControllerAdvice(basePackageClasses = ConsoleErrors.class)
@Order(Ordered.HIGHEST_PRECEDENCE)
class ConsoleErrors {

  private static final Logger log = LoggerFactory.getLogger(ConsoleErrors.class);

  private final Pages pages;

  ConsoleErrors(Pages pages) {
    this.pages = pages;
  }

  @ExceptionHandler
  ResponseEntity<byte[]> refused(RefusedException e, HttpServletRequest request) {
    return pages.problemPage(Session.find(request), e.code(), e.detail());
  }

  @ExceptionHandler({DataAccessException.class, TransactionException.class, SQLException.class})
  ResponseEntity<byte[]> unavailable(Exception e, HttpServletRequest request) {
    log.warn("The database did not answer: {}", e.getClass().getSimpleName());
    return pages.problemPage(
        Session.find(request),
        ProblemCode.TEMPORARILY_UNAVAILABLE,
        "The database did not answer in time. Try again, or ask for less.");
  }
}
