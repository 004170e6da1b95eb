package io.valetkey.broker.admin;

import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ErrorReportValve;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Answers for requests that Tomcat refuses before any filter has seen them. */
final class ContainerErrors extends ErrorReportValve {

  private static final Logger log = LoggerFactory.getLogger(ContainerErrors.class);

  private final Problems problems;

  ContainerErrors(Problems problems) {
    this.problems = problems;
  }

  @Override
  protected void report(Request request, Response response, @Nullable Throwable throwable) {
    int status = response.getStatus();
    if (status < 400 || response.getContentWritten() > 0 || !response.setErrorReported()) {
      return;
    }
    try {
      response.setContentType("application/problem+json");
      response.setHeader("Cache-Control", "no-store");
      byte[] body = problems.body(Problems.codeFor(status), status, null, List.of(), null);
      Writer writer = response.getReporter();
      if (writer != null) {
        writer.write(new String(body, StandardCharsets.UTF_8));
        response.finishResponse();
      }
    } catch (IOException | IllegalStateException e) {
      log.debug("The client did not wait for its refusal", e);
    }
  }
}
