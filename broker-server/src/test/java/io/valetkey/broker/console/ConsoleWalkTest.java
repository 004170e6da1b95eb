package io.valetkey.broker.console;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.ColorScheme;
import io.valetkey.broker.RunningBroker;
import io.valetkey.client.Destination;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The console in a real browser, with a real agent and a real upstream. Invariants U1, U2, U6. */
@NeedsChromium
class ConsoleWalkTest {

  private static final String BOT = "repo:acme/claims:ref:refs/heads/main";

  @TempDir private Path folder;
  private ConsoleWorld world;
  private Browser browser;

  @BeforeEach
  void start() throws Exception {
    world = new ConsoleWorld(folder, Map.of());
    browser = new Browser(world.broker.url());
  }

  @AfterEach
  void stop() {
    browser.close();
    world.close();
  }

  private Page signedIn(int width, int height, ColorScheme scheme, boolean scripts) {
    Page page = browser.open(width, height, scheme, scripts);
    page.navigate(world.broker.url() + "/console");
    page.getByLabel("Bootstrap token").fill(RunningBroker.BOOTSTRAP_TOKEN);
    page.keyboard().press("Enter");
    assertThat(page.getByRole(com.microsoft.playwright.options.AriaRole.HEADING).first())
        .hasText("Live");
    return page;
  }

  private static Locator link(Page page, String name) {
    return page.getByRole(
        com.microsoft.playwright.options.AriaRole.LINK,
        new Page.GetByRoleOptions().setName(name).setExact(true));
  }

  private static Locator button(Page page, String name) {
    return page.getByRole(
        com.microsoft.playwright.options.AriaRole.BUTTON,
        new Page.GetByRoleOptions().setName(name).setExact(true));
  }

  /** Sign in, watch, trace, change, stop: as a person would, and the agent feels each of it. */
  @Test
  void walk_fromARefusalToAStop() throws Exception {
    Destination openai = world.openai(BOT);
    Page page = signedIn(1280, 800, ColorScheme.LIGHT, true);
    Browser.check(page);

    assertThat(ConsoleWorld.send(openai, "POST", "/v1/chat/completions").statusCode())
        .isEqualTo(200);
    assertThat(ConsoleWorld.send(openai, "GET", "/v1/models").statusCode()).isEqualTo(403);
    Locator refused =
        page.locator("tr", new Page.LocatorOptions().setHasText("insufficient_scope"));
    assertThat(refused).containsText("GET /v1/models");
    Browser.check(page);
    Browser.picture(page, "live");

    refused.locator("a").first().click();
    assertThat(page.locator("body")).containsText("No rule allows GET on this path");
    Browser.check(page);
    Browser.picture(page, "decision");
    link(page, "Change the scope chat").click();
    assertThat(page.locator("#spec")).hasValue(java.util.regex.Pattern.compile("/v1/models"));
    button(page, "Preview the difference").click();
    assertThat(page.locator("ins").first()).containsText("/v1/models");
    assertThat(ConsoleWorld.send(openai, "GET", "/v1/models").statusCode())
        .as("a preview changes nothing")
        .isEqualTo(403);
    Browser.check(page);
    Browser.picture(page, "scope");
    button(page, "Apply").click();
    assertThat(page.locator("pre").nth(1)).containsText("/v1/models");
    Browser.check(page);
    world.policies.await(world.broker);
    assertThat(ConsoleWorld.send(openai, "GET", "/v1/models").statusCode()).isEqualTo(200);

    CompletableFuture<String> stream = world.stream(openai);
    page.navigate(world.broker.url() + "/console/agents/claims-bot");
    assertThat(page.locator("section", new Page.LocatorOptions().setHasText("Open now, at all")))
        .containsText("openai1");
    Browser.check(page);
    Browser.picture(page, "agent");
    assertThat(stream).isNotDone();
    page.locator("#reason").fill("<b>prompt injection</b> seen in its answers");
    button(page, "Stop claims-bot").click();
    assertThat(page.locator("#progress")).containsText("acknowledged");
    assertThat(page.locator("#progress")).containsText("1 of 1");
    assertThat(stream.get(5, TimeUnit.SECONDS)).isEqualTo("cut");
    assertThat(page.locator("body")).containsText("<b>prompt injection</b>");
    Browser.check(page);
    Browser.picture(page, "stop");

    for (String section :
        new String[] {"Agents", "Reach", "Destinations", "Approvals", "Stops", "Audit"}) {
      link(page, section).click();
      assertThat(page.locator("h1")).hasText(section);
      Browser.check(page);
    }
    assertThat(browser.elsewhere).isEmpty();
    assertThat(browser.complaints).isEmpty();
  }

  /** A stop with the keyboard alone, on a phone, in the dark, and lifted without any script. */
  @Test
  void stop_byKeyboardAndWithoutScripts() throws Exception {
    CompletableFuture<String> stream = world.stream(world.openai(BOT));
    Page phone = signedIn(390, 844, ColorScheme.DARK, true);
    assertThat(phone.locator("tbody tr").first()).isVisible();
    Browser.check(phone);
    Browser.picture(phone, "live-phone");
    assertThat((Boolean) phone.evaluate("document.documentElement.scrollWidth <= 390"))
        .as("no sideways scrolling")
        .isTrue();
    tabTo(phone, "Agents");
    phone.keyboard().press("Enter");
    assertThat(phone.locator("h1")).hasText("Agents");
    tabTo(phone, "claims-bot");
    phone.keyboard().press("Enter");
    assertThat(phone.locator("h1")).hasText("claims-bot");
    Browser.check(phone);
    Browser.picture(phone, "agent-phone");
    tabTo(phone, "Why");
    phone.keyboard().type("at three in the morning");
    tabTo(phone, "Stop claims-bot");
    phone.keyboard().press("Enter");
    assertThat(phone.locator("#progress")).containsText("acknowledged");
    assertThat(stream.get(5, TimeUnit.SECONDS)).isEqualTo("cut");

    Page plain = signedIn(1280, 800, ColorScheme.DARK, false);
    link(plain, "Stops").click();
    plain.locator("tbody a").first().click();
    plain.locator("#reason").fill("over");
    button(plain, "Lift the stop").click();
    assertThat(plain.locator("dd").filter(new Locator.FilterOptions().setHasText("lifted")))
        .isVisible();
    Browser.picture(plain, "stop-dark");
  }

  /** What an agent asks for is read, decided with the mouse, and felt by the agent. */
  @Test
  void approval_isDecidedAboutWhatIsShown() throws Exception {
    Destination openai = payments();
    String hostile =
        "{\"amount\":100,\"to\":\"alice\",\"note\":\"</code></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"}";
    String path = "/v1/payments/'onclick=alert(3)?memo=%3Cscript%3E&pretty=true";
    assertThat(send(openai, path, hostile).statusCode()).isEqualTo(403);
    assertThat(send(openai, "/v1/payments/2", "{\"amount\":1}").statusCode()).isEqualTo(403);

    Page page = signedIn(1280, 800, ColorScheme.LIGHT, true);
    link(page, "Approvals").click();
    Browser.check(page);
    page.locator("tr", new Page.LocatorOptions().setHasText("onclick=alert(3)"))
        .locator("a")
        .first()
        .click();
    assertThat(page.locator("pre.body")).hasText(hostile);
    assertThat(page.locator("main img, main script").count()).isZero();
    assertThat(page.locator("body")).containsText("hostile=<b>1</b>");
    Browser.check(page);
    Browser.picture(page, "approval");
    assertThat(button(page, "No decision")).isHidden();
    page.locator("#reason").fill("invoice 4711");
    page.keyboard().press("Enter");
    button(page, "Approve").click();
    assertThat(page.locator("h1")).containsText("approved");
    Browser.check(page);
    assertThat(send(openai, path, hostile).statusCode()).isEqualTo(200);
    assertThat(send(openai, path, hostile).statusCode()).isEqualTo(403);
    page.navigate(world.broker.url() + "/console/approvals");
    assertThat(page.locator("body")).containsText("used");
    Browser.check(page);
    Browser.picture(page, "approvals");

    Page plain = signedIn(390, 844, ColorScheme.DARK, false);
    link(plain, "Approvals").click();
    plain
        .locator("tr", new Page.LocatorOptions().setHasText("/v1/payments/2"))
        .locator("a")
        .first()
        .click();
    assertThat((Boolean) plain.evaluate("document.documentElement.scrollWidth <= 390")).isTrue();
    Browser.picture(plain, "approval-phone");
    plain.locator("#reason").fill("not today");
    plain.keyboard().press("Enter");
    assertThat(plain.locator("h1")).containsText("pending");
    button(plain, "Deny").click();
    assertThat(plain.locator("h1")).containsText("denied");
    assertThat(
            send(openai, "/v1/payments/2", "{\"amount\":1}").headers().firstValue("valetkey-error"))
        .hasValue("approval_denied");
    assertThat(browser.complaints).isEmpty();
    assertThat(browser.elsewhere).isEmpty();
  }

  /** An agent whose payments need an approval. */
  private Destination payments() throws Exception {
    world.policies.scope(
        "openai",
        "pay",
        "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/v1/payments/**\"]}],\"approval\":{}}");
    world.agent("payments-bot", "payments");
    world.policies.grant("payments-openai", "payments-bot", "openai", java.util.List.of("pay"));
    world.policies.await(world.broker);
    return world.openai("payments");
  }

  private static HttpResponse<String> send(Destination openai, String path, String body)
      throws Exception {
    return openai
        .httpClient()
        .send(
            HttpRequest.newBuilder(openai.url(path))
                .header("Content-Type", "application/json")
                .header("X-Note", "hostile=<b>1</b>")
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build(),
            BodyHandlers.ofString());
  }

  /** Presses Tab until something with this name has the focus, as somebody without a mouse does. */
  private static void tabTo(Page page, String name) {
    for (int i = 0; i < 60; i++) {
      page.keyboard().press("Tab");
      Object focused =
          page.evaluate(
              "(() => { const e = document.activeElement;"
                  + " return (e.labels && e.labels[0] || e).textContent.trim(); })()");
      if (name.equals(focused)) {
        assertThat((String) page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
            .as("one sees where the focus is")
            .isNotEqualTo("none");
        return;
      }
    }
    throw new AssertionError("Tab never came to " + name);
  }

  /** Whatever an agent calls itself and asks for is text. */
  @Test
  void whatAnAgentWrites_isText() throws Exception {
    String hostile = "\"><img src=x onerror=alert(1)><script>alert(2)</script>";
    world.agent("hostile-bot", hostile);
    world.policies.grant("hostile-openai", "hostile-bot", "openai", java.util.List.of("chat"));
    world.policies.await(world.broker);
    Destination openai = world.openai(hostile);
    assertThat(ConsoleWorld.send(openai, "GET", "/v1/'onclick=alert(3)").statusCode())
        .isEqualTo(403);
    HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create(world.broker.url() + "/oauth2/token"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(
                    HttpRequest.BodyPublishers.ofString(
                        "grant_type=x&audience=%3Cscript%3Ealert(4)%3C%2Fscript%3E"))
                .build(),
            BodyHandlers.ofString());
    Page page = signedIn(1280, 800, ColorScheme.LIGHT, true);
    Locator row = page.locator("tr", new Page.LocatorOptions().setHasText("onclick=alert(3)"));
    row.locator("a").first().click();
    assertThat(page.locator("body")).containsText("<script>alert(2)</script>");
    page.navigate(world.broker.url() + "/console/agents");
    assertThat(page.locator("body")).containsText("<img src=x onerror=alert(1)>");
    page.navigate(world.broker.url() + "/console/agents/hostile-bot");
    assertThat(page.locator("body")).containsText("<img src=x onerror=alert(1)>");
    page.navigate(
        world.broker.url() + "/console/live?agent=%22%3E%3Cscript%3Ealert(5)%3C/script%3E");
    assertThat(page.locator("main img, main script").count()).isZero();
    assertThat(browser.complaints).isEmpty();
    assertThat(browser.elsewhere).isEmpty();
  }
}
