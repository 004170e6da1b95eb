package io.valetkey.broker.console;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;

import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import io.valetkey.broker.RunningBroker;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** People of a real OpenID provider sign in with a real browser. Invariant U9. */
@NeedsChromium
class ProviderSignInTest {

  @TempDir private Path folder;
  private RealProvider provider;
  private RunningBroker broker;
  private Browser browser;

  @BeforeEach
  void start() throws Exception {
    provider = new RealProvider(Files.createDirectory(folder.resolve("provider")));
    Path secret = Files.writeString(folder.resolve("secret"), RealProvider.SECRET + "\n");
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.admin.oidc.issuer",
                provider.issuer(),
                "valetkey.admin.oidc.roles-claim",
                "groups",
                "valetkey.admin.oidc.role-mapping",
                "platform=operator",
                "valetkey.console.oidc.client-id",
                RealProvider.CLIENT,
                "valetkey.console.oidc.client-secret-file",
                secret.toString(),
                "valetkey.console.oidc.name",
                "Acme"));
    provider.register(broker.url() + ConsoleRoutes.CALLBACK);
    browser = new Browser(broker.url());
  }

  @AfterEach
  void stop() throws Exception {
    browser.close();
    broker.close();
    provider.close();
  }

  private Page signIn(String path, String user) {
    Page page = browser.open(1280, 800, ColorScheme.LIGHT, true);
    page.navigate(broker.url() + path);
    Browser.check(page);
    page.getByRole(AriaRole.LINK, new Page.GetByRoleOptions().setName("Sign in with Acme")).click();
    page.locator("#username").fill(user);
    page.locator("#password").fill(user + "-pw");
    page.keyboard().press("Enter");
    return page;
  }

  /** The page that was wanted, with the role that the group means and no other. */
  @Test
  void person_withAMappedGroup_comesBackToThePageThatWasWanted() throws Exception {
    Page page = signIn("/console/audit?days=7", "olga");
    page.waitForURL(broker.url() + "/console/audit?days=7");
    assertThat(page.locator("h1")).hasText("Audit");
    assertThat(page.locator("body")).containsText("olga");
    assertThat(page.locator("body")).containsText("operator");
    Browser.check(page);
    try (var connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery(
                    "SELECT details->>'actor', details->>'via', details->>'roles', outcome FROM"
                        + " audit_record WHERE action = 'console.sign_in'")) {
      rows.next();
      assertThat(rows.getString(1)).isEqualTo("olga");
      assertThat(rows.getString(2)).isEqualTo("oidc");
      assertThat(rows.getString(3)).isEqualTo("operator");
      assertThat(rows.getString(4)).isEqualTo("granted");
      assertThat(rows.next()).isFalse();
    }
    page.getByRole(AriaRole.BUTTON, new Page.GetByRoleOptions().setName("Sign out")).click();
    assertThat(page.locator("h1")).hasText("Sign in");
    page.navigate(broker.url() + "/console/audit");
    assertThat(page.locator("h1")).hasText("Sign in");
    assertThat(browser.complaints).isEmpty();
  }

  /** A group that happens to be called as a role of ours is none once there is a mapping. */
  @Test
  void person_withoutAMappedGroup_isToldWhatWasLookedAt() {
    Page page = signIn("/console", "nina");
    assertThat(page.getByRole(AriaRole.ALERT))
        .containsText(
            "Acme knows you as nina, but nothing in your claim groups is viewer, operator or admin");
    Browser.check(page);
    page.navigate(broker.url() + "/console/audit");
    assertThat(page.locator("h1")).hasText("Sign in");
    assertThat(browser.complaints).isEmpty();
  }
}
