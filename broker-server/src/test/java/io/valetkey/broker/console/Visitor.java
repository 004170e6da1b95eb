package io.valetkey.broker.console;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.Role;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Somebody with a session who sends what the console's pages would. */
public final class Visitor {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private final RunningBroker broker;
  private final String cookie;

  public Visitor(RunningBroker broker, Role role) {
    this(broker, role, "somebody");
  }

  /** Somebody of this name. */
  public Visitor(RunningBroker broker, Role role, String name) {
    this.broker = broker;
    this.cookie =
        broker.bean(Sessions.class).open(new Admin(name, Set.of(role), null), Session.Via.OIDC);
  }

  public HttpResponse<String> get(String path) throws Exception {
    return HTTP.send(request(path).build(), BodyHandlers.ofString());
  }

  /** Sends a form of our own page. */
  public HttpResponse<String> post(String path, Map<String, String> fields) throws Exception {
    Map<String, String> all = new HashMap<>(fields);
    all.put(
        ConsoleFilter.FORM_TOKEN,
        new Session(new Admin("x", Set.of(), null), Session.Via.OIDC, cookie).formToken());
    String form =
        all.entrySet().stream()
            .map(field ->
                field.getKey() + "=" + URLEncoder.encode(field.getValue(), StandardCharsets.UTF_8))
            .collect(Collectors.joining("&"));
    return HTTP.send(
        request(path)
            .header("Origin", broker.url())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form))
            .build(),
        BodyHandlers.ofString());
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(broker.api(path)).header("Cookie", "valetkey-console=" + cookie);
  }
}
