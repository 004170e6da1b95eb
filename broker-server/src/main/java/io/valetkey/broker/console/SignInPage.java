package io.valetkey.broker.console;

import io.valetkey.broker.control.BootstrapToken;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.springframework.http.ResponseEntity;

/** The page with all ways in that there are now. */
final class SignInPage {

  private final Pages pages;
  private final BootstrapToken bootstrap;
  private final ConsoleSettings settings;

  SignInPage(Pages pages, BootstrapToken bootstrap, ConsoleSettings settings) {
    this.pages = pages;
    this.bootstrap = bootstrap;
    this.settings = settings;
  }

  /**
   * Shows it.
   *
   * @param problem why somebody is not signed in; empty if nobody tried
   * @param next a page of ours
   */
  ResponseEntity<byte[]> show(int status, String problem, String next) {
    ConsoleSettings.Provider provider = settings.provider();
    String way =
        ConsoleRoutes.PROVIDER + "?next=" + URLEncoder.encode(next, StandardCharsets.UTF_8);
    return pages.page(
        status,
        "signin.jte",
        pages.frame("Sign in", "", null),
        Map.of(
            "problem", problem,
            "provider", provider == null ? "" : provider.name(),
            "way", way,
            "bootstrap", bootstrap.end().isPresent(),
            "next", next));
  }
}
