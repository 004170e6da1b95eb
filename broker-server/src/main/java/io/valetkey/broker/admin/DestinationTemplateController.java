package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.declaration.DestinationTemplate;
import io.valetkey.broker.declaration.DestinationTemplates;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.token.TokenSettings;
import jakarta.servlet.http.HttpServletRequest;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Ready-made destinations, to be filled in, looked at and applied. Reading one stores nothing. */
@RestController
@Hidden
class DestinationTemplateController {

  static final String TEMPLATES = AdminRoutes.BASE + "/destination-templates";

  private static final List<String> COMMON =
      List.of("destination", "source", "mount", "path", "field", "file", "managedBy");
  private static final String TOKEN = "<access token>";

  private final TokenSettings names;

  DestinationTemplateController(TokenSettings names) {
    this.names = names;
  }

  @GetMapping(TEMPLATES)
  ResponseEntity<byte[]> list(HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    List<ObjectNode> items = new ArrayList<>();
    for (DestinationTemplate template : DestinationTemplates.all()) {
      ObjectNode item = JsonAnswers.object();
      item.put("name", template.name()).put("title", template.title());
      ArrayNode parameters = item.putArray("parameters");
      template
          .parameters()
          .forEach(one ->
              parameters
                  .addObject()
                  .put("name", one.name())
                  .put("about", one.about())
                  .put("example", one.example()));
      items.add(item);
    }
    return JsonAnswers.ok(JsonAnswers.page(items, null));
  }

  @GetMapping(TEMPLATES + "/{name}")
  ResponseEntity<byte[]> fill(@PathVariable("name") String name, HttpServletRequest http) {
    DestinationTemplate template = DestinationTemplates.find(name);
    if (template == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such template.");
    }
    AdminRequest request = new AdminRequest(http);
    List<String> allowed = new ArrayList<>(COMMON);
    template.parameters().forEach(parameter -> allowed.add(parameter.name()));
    request.allowParameters(allowed.toArray(String[]::new));
    Map<String, String> values = values(template, request);
    String destination = name(request, "destination", template.name());
    List<ObjectNode> documents =
        template.documents(
            destination, credential(request, destination, template.takesOneField()), values);
    ObjectNode answer = JsonAnswers.object();
    String owner = request.parameter("managedBy");
    if (owner != null) {
      answer.put("managedBy", name(request, "managedBy", owner));
    }
    if (ApplyController.accepts(http, DeclarationController.YAML)) {
      return DeclarationController.yaml(answer, documents);
    }
    answer.put("name", template.name()).put("title", template.title());
    answer.putArray("documents").addAll(documents);
    answer.set("clients", template.clients(names.gatewayUrl(), destination, TOKEN));
    ArrayNode leftOut = answer.putArray("leftOut");
    template
        .leftOut(values)
        .forEach(one ->
            leftOut
                .addObject()
                .put("method", one.method())
                .put("path", one.path())
                .put("why", one.why()));
    return JsonAnswers.ok(answer);
  }

  private static Map<String, String> values(DestinationTemplate template, AdminRequest request) {
    Map<String, String> values = new LinkedHashMap<>();
    List<String> wrong = new ArrayList<>();
    for (DestinationTemplate.Parameter parameter : template.parameters()) {
      String value = request.parameter(parameter.name());
      if (value == null || !parameter.pattern().matcher(value).matches()) {
        wrong.add(
            "%s (%s, such as %s)"
                .formatted(parameter.name(), parameter.about(), parameter.example()));
      } else {
        values.put(parameter.name(), value);
      }
    }
    if (!wrong.isEmpty()) {
      throw AdminRequest.invalid(
          "Query parameters that are missing or not what they must be: "
              + String.join("; ", wrong));
    }
    return values;
  }

  private static ObjectNode credential(AdminRequest request, String destination, boolean oneField) {
    ObjectNode credential = JsonAnswers.object();
    String source = text(request, "source", "vault-kv");
    if (!oneField && request.parameter("field") != null) {
      throw AdminRequest.invalid("This destination itself names the fields that it takes.");
    }
    switch (source) {
      case "vault-kv" -> {
        credential
            .put("source", source)
            .put("mount", text(request, "mount", "secret"))
            .put("path", text(request, "path", "agents/" + destination));
        if (oneField) {
          credential.put("field", text(request, "field", "api_key"));
        }
      }
      case "file" ->
          credential.put("source", source).put("name", text(request, "file", destination));
      default -> throw AdminRequest.invalid("The source must be vault-kv or file.");
    }
    return credential;
  }

  private static String name(AdminRequest request, String parameter, String otherwise) {
    String value = text(request, parameter, otherwise);
    if (!ResourceId.isName(value)) {
      throw AdminRequest.invalid(parameter + " must be a name: lower case, digits and hyphens.");
    }
    return value;
  }

  private static String text(AdminRequest request, String parameter, String otherwise) {
    return Objects.requireNonNullElse(request.parameter(parameter), otherwise);
  }
}
