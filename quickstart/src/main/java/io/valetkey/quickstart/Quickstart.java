package io.valetkey.quickstart;

import io.valetkey.realparts.TestAuthority;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.springframework.boot.logging.LogLevel;
import org.springframework.boot.logging.LoggingSystem;

/**
 * Starts the broker with everything that it needs, walks a demo agent through it, and stays up.
 *
 * <p>With {@code --once} or {@code -Dquickstart.once=true} it ends after the walk: 0 if every step
 * proved what it claims, 1 otherwise.
 */
public final class Quickstart {

  private static final String ONCE = "--once";

  private final Parts parts = new Parts();
  private String guide = "";

  private Quickstart() {}

  /** Starts it. */
  public static void main(String[] args) throws InterruptedException {
    if (!List.of(ONCE).containsAll(List.of(args))) {
      System.err.println("The only argument is " + ONCE);
      System.exit(2);
    }
    boolean once = args.length > 0 || Boolean.getBoolean("quickstart.once");
    LoggingSystem logging = LoggingSystem.get(Quickstart.class.getClassLoader());
    // Until the broker configures it, nothing is logged: failures come as exceptions.
    logging.beforeInitialize();
    var quickstart = new Quickstart();
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  // Ctrl-C reaches PostgreSQL and Vault as well; that they leave is no news.
                  logging.setLogLevel("ROOT", LogLevel.OFF);
                  quickstart.parts.close();
                },
                "quickstart-end"));
    boolean proven = quickstart.run();
    if (once) {
      System.exit(proven ? 0 : 1);
    }
    System.out.print(quickstart.guide);
    new CountDownLatch(1).await();
  }

  private boolean run() throws InterruptedException {
    try {
      return startAndWalk();
    } catch (RuntimeException e) {
      System.err.println("The quick start did not come up: " + e);
      System.exit(1);
      return false;
    }
  }

  private boolean startAndWalk() throws InterruptedException {
    System.out.println(
        "Valetkey quick start: for trying it out, NOT FOR PRODUCTION; listens on 127.0.0.1 only.");
    PrivateFolder folder = parts.start(PrivateFolder::create, it -> it::close);
    Ports ports = Ports.choose();
    ports.moved().forEach(System.out::println);
    var key = UpstreamKey.random();
    TestAuthority authority = TestAuthority.create("Valetkey quick start upstream");
    String bootstrapToken = RandomText.next();

    DemoDatabase database =
        parts.start(() -> DemoDatabase.start(folder.path().resolve("postgres")), it -> it::close);
    CredentialStore credentials =
        parts.start(() -> CredentialStore.open(folder, key), it -> it::close);
    DemoUpstream upstream = parts.start(() -> DemoUpstream.start(key, authority), it -> it::close);
    DemoIssuer issuer =
        parts.start(() -> DemoIssuer.start(folder, ports.apiUrl()), it -> it::close);
    var _ =
        parts.start(
            () ->
                Broker.start(
                    ports,
                    database,
                    credentials,
                    authority.writePem(folder.path()),
                    bootstrapToken),
            it -> it::close);
    AdminApi admin =
        parts.start(() -> new AdminApi(ports.apiUrl(), bootstrapToken), it -> it::close);
    System.out.println(
        "PostgreSQL, broker, demo issuer and demo upstream run; the upstream's key "
            + key
            + " is in "
            + credentials.description()
            + ".");

    guide = Guide.write(folder, ports, credentials, bootstrapToken);
    var policy = new DemoPolicy(admin);
    policy.setUp(issuer, upstream.origin(), credentials.reference());
    Map<String, String> environment = AgentProcess.environment(ports, issuer.tokenFile());
    AgentProcess agent = parts.start(() -> AgentProcess.start(environment), it -> it::close);
    var ledger = new Ledger(System.out);
    new Walk(ledger, agent, environment, upstream, key, policy).run();
    return ledger.allProven();
  }
}
