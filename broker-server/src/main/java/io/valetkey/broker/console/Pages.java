package io.valetkey.broker.console;

import gg.jte.ContentType;
import gg.jte.TemplateEngine;
import gg.jte.output.StringOutput;
import io.valetkey.broker.problem.ProblemCode;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;

/** Makes pages out of templates, which escape whatever they are given. */
final class Pages {

  private static final MediaType HTML = new MediaType("text", "html", StandardCharsets.UTF_8);

  private final TemplateEngine templates =
      TemplateEngine.createPrecompiled(
          null, ContentType.Html, Pages.class.getClassLoader(), Pages.class.getPackageName());
  private final Assets assets;

  Pages(Assets assets) {
    this.assets = assets;
  }

  Frame frame(String title, String section, @Nullable Session session) {
    return new Frame(title, section, session, assets);
  }

  /** A whole page. */
  ResponseEntity<byte[]> page(String template, Frame frame, Map<String, ?> values) {
    return page(200, template, frame, values);
  }

  ResponseEntity<byte[]> page(int status, String template, Frame frame, Map<String, ?> values) {
    Map<String, Object> all = new HashMap<>(values);
    all.put("frame", frame);
    return ResponseEntity.status(status).contentType(HTML).body(render(template, all));
  }

  /** A part that htmx puts into a page. */
  ResponseEntity<byte[]> part(String template, Map<String, ?> values) {
    return ResponseEntity.ok().contentType(HTML).body(render(template, new HashMap<>(values)));
  }

  /** Goes to another page of ours after something was done. */
  static ResponseEntity<byte[]> to(String address) {
    return ResponseEntity.status(HttpStatus.SEE_OTHER).header("Location", address).build();
  }

  /** Says what went wrong, from within a filter. */
  void problem(
      HttpServletResponse response, @Nullable Session session, ProblemCode code, String detail)
      throws IOException {
    byte[] body = problem(session, code, detail);
    response.setStatus(code.status());
    response.setContentType(HTML.toString());
    response.setContentLength(body.length);
    response.getOutputStream().write(body);
    response.flushBuffer();
  }

  ResponseEntity<byte[]> problemPage(@Nullable Session session, ProblemCode code, String detail) {
    return ResponseEntity.status(code.status())
        .contentType(HTML)
        .body(problem(session, code, detail));
  }

  private byte[] problem(@Nullable Session session, ProblemCode code, String detail) {
    return render(
        "problem.jte",
        new HashMap<>(
            Map.of(
                "frame", frame(code.title(), "", session),
                "status", code.status(),
                "code", code.code(),
                "detail", detail)));
  }

  private byte[] render(String template, Map<String, Object> values) {
    var output = new StringOutput();
    templates.render(template, values, output);
    return output.toString().getBytes(StandardCharsets.UTF_8);
  }
}
