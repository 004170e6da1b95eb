package io.valetkey.broker.console;

import static org.assertj.core.api.Assertions.assertThat;

import com.deque.html.axecore.playwright.AxeBuilder;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType.LaunchOptions;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Page.ScreenshotOptions;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.options.ColorScheme;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/** A real Chromium that notes what a page of ours must never do. */
final class Browser implements AutoCloseable {

  private final Playwright playwright =
      Playwright.create(
          new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
  private final com.microsoft.playwright.Browser browser;
  private final String origin;
  final List<String> elsewhere = new CopyOnWriteArrayList<>();
  final List<String> complaints = new CopyOnWriteArrayList<>();

  Browser(String origin) {
    this.origin = origin;
    this.browser =
        playwright
            .chromium()
            .launch(
                new LaunchOptions()
                    .setExecutablePath(NeedsChromium.PROGRAM)
                    .setArgs(List.of("--no-sandbox", "--disable-dev-shm-usage")));
  }

  Page open(int width, int height, ColorScheme scheme, boolean scripts) {
    BrowserContext context =
        browser.newContext(
            new com.microsoft.playwright.Browser.NewContextOptions()
                .setViewportSize(width, height)
                .setColorScheme(scheme)
                .setJavaScriptEnabled(scripts));
    context.setDefaultTimeout(15_000);
    Page page = context.newPage();
    page.onRequest(request -> {
      if (!request.url().startsWith(origin + "/") && !request.url().startsWith("data:")) {
        elsewhere.add(request.url());
      }
    });
    page.onConsoleMessage(message -> {
      if (message.text().contains("Content Security Policy")
          || message.text().contains("Refused to")) {
        complaints.add(page.url() + ": " + message.text());
      }
    });
    page.onPageError(error -> complaints.add(page.url() + ": " + error));
    page.onDialog(dialog -> {
      complaints.add(page.url() + ": a dialog said " + dialog.message());
      dialog.dismiss();
    });
    return page;
  }

  /** Nothing of a page is inline, and axe-core finds nothing to object to. */
  static void check(Page page) {
    assertThat(page.locator("script:not([src]), style, [style], [onclick], [onerror]").count())
        .as("inline script or style at %s", page.url())
        .isZero();
    var found = new AxeBuilder(page).analyze().getViolations();
    assertThat(
            found.stream().map(rule -> rule.getId() + " " + rule.getNodes().getFirst().getHtml()))
        .as("axe-core at %s", page.url())
        .isEmpty();
  }

  /** Kept in the documentation, if the run is told where. */
  static void picture(Page page, String name) {
    String folder = System.getProperty("console.pictures");
    if (folder != null) {
      page.screenshot(new ScreenshotOptions().setPath(Path.of(folder).resolve(name + ".png")));
      assertThat(Path.of(folder).resolve(name + ".png")).satisfies(Files::exists);
    }
  }

  @Override
  public void close() {
    browser.close();
    playwright.close();
  }
}
