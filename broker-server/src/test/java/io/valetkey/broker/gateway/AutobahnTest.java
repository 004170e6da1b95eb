package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.NeedsWstest;
import io.valetkey.realparts.Program;
import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Autobahn's cases with the gateway in the middle: its fuzzing client in the place of the agent,
 * and its fuzzing server in that of the destination. Without those of the compression, which the
 * gateway does not let two sides agree on. Its cases have a second each, so it is run by itself:
 * {@code -Dautobahn.cases=*}, or some of them by name.
 */
@EnabledIfSystemProperty(
    named = "autobahn.cases",
    matches = ".+",
    disabledReason = "not in the build, see CONTRIBUTING.md: -Dautobahn.cases='*' runs it")
@NeedsWstest
@Timeout(900)
class AutobahnTest {

  private static final String CASES = System.getProperty("autobahn.cases", "*");

  private static final int ALL = 301;

  private static final String SPEC =
      """
      import sys
      from twisted.internet import reactor, ssl
      from autobahn.twisted.websocket import listenWS, connectWS
      from autobahntestsuite import fuzzing, testee
      def spec(url, folder, cases):
          return {"outdir": folder, "url": url, "cases": cases.split(","),
                  "servers": [{"agent": "gateway", "url": url}],
                  "exclude-cases": ["12.*", "13.*"], "exclude-agent-cases": {}}
      def listen(factory, certificate, key):
          port = listenWS(factory, ssl.DefaultOpenSSLContextFactory(key, certificate),
                          interface="127.0.0.1")
          print "LISTENING"
          sys.stdout.flush()
          reactor.run()
      class WithToken(object):
          def setSessionParameters(self, *given, **named):
              super(WithToken, self).setSessionParameters(*given, **named)
              self.headers = {"Authorization": "Bearer good"}
      """;

  private static final String ECHO =
      SPEC
          + """
          url, certificate, key = sys.argv[1:]
          listen(testee.TesteeServerFactory(url), certificate, key)
          """;

  private static final String FUZZING_CLIENT =
      SPEC
          + """
          class Client(WithToken, fuzzing.FuzzingClientFactory, object):
              pass
          Client(spec(*sys.argv[1:]))
          reactor.run()
          """;

  private static final String FUZZING_SERVER =
      SPEC
          + """
          class Server(fuzzing.FuzzingServerProtocol):
              def onConnect(self, request):
                  request.path = request.path.replace("/v1/live", "")
                  return fuzzing.FuzzingServerProtocol.onConnect(self, request)
          url, certificate, key, folder, cases = sys.argv[1:]
          factory = fuzzing.FuzzingServerFactory(spec(url, folder, cases))
          factory.protocol = Server
          listen(factory, certificate, key)
          """;

  private static final String CLIENT =
      SPEC
          + """
          class Client(WithToken, testee.TesteeClientFactory, object):
              def __setattr__(self, name, value):
                  if name == "resource":
                      value = base + value[value.rindex("/"):]
                  super(Client, self).__setattr__(name, value)
          base = "/d/up/v1/live"
          connectWS(Client(sys.argv[1], ident="gateway"))
          reactor.run()
          """;

  @TempDir private Path folder;
  private Path python;
  private Path key;
  private Path chain;
  private Process server;
  private TestGateway gateway;
  private TestAuthority authority;

  @BeforeEach
  void certificates() throws Exception {
    python = Program.WSTEST.built();
    authority = TestAuthority.create("upstreams");
    TestCertificate certificate = authority.server("upstream.test");
    key = Files.writeString(folder.resolve("k.pem"), certificate.keyPem());
    chain = Files.writeString(folder.resolve("c.pem"), certificate.certificatePem());
  }

  @AfterEach
  void stop() {
    if (gateway != null) {
      gateway.close();
    }
    if (server != null) {
      server.destroy();
    }
  }

  @Test
  void everyCaseOfTheFuzzingClient_passes() throws Exception {
    String base = start(ECHO);
    // Its cases have a second each, and the first of all in a process takes longer.
    Path first = Files.createDirectory(folder.resolve("first"));
    run(FUZZING_CLIENT, base + "echo", first.toString(), "1.1.1");
    run(FUZZING_CLIENT, base + "echo", folder.toString(), CASES);
    everyCasePassed();
  }

  @Test
  void everyCaseOfTheFuzzingServer_passes() throws Exception {
    String base = start(FUZZING_SERVER, folder.toString(), CASES);
    run(CLIENT, base + "getCaseCount");
    everyCasePassed();
  }

  /** Starts the upstream and a gateway before it; gives the address below which it is reached. */
  private String start(String program, String... more) throws Exception {
    int port = RunningBroker.freePort();
    List<String> arguments =
        new ArrayList<>(List.of("wss://127.0.0.1:" + port, chain.toString(), key.toString()));
    arguments.addAll(List.of(more));
    server = TestPython.start(python, program, arguments.toArray(new String[0]));
    TestPython.await(server, "LISTENING");
    Thread.startVirtualThread(() -> drain(server));
    gateway = new TestGateway(port, TestCertificates.trusting(authority.certificate()));
    gateway.maxRequestBody = 1 << 25; // its longest messages have 16 MiB
    return "ws://127.0.0.1:" + gateway.server.port() + "/d/up/v1/live/";
  }

  private void run(String program, String... arguments) throws Exception {
    Process client = TestPython.start(python, program, arguments);
    try {
      String output = new String(client.getInputStream().readAllBytes());
      assertThat(client.waitFor(10, TimeUnit.SECONDS)).isTrue();
      assertThat(client.exitValue()).as(output).isZero();
    } finally {
      client.destroy();
    }
  }

  private static void drain(Process process) {
    try {
      process.getInputStream().transferTo(java.io.OutputStream.nullOutputStream());
    } catch (java.io.IOException e) {
      // It has ended.
    }
  }

  private void everyCasePassed() throws Exception {
    JsonNode cases =
        JsonMapper.shared().readTree(folder.resolve("index.json").toFile()).get("gateway");
    var failed = new TreeMap<String, String>();
    cases
        .properties()
        .forEach(one -> {
          String verdict =
              one.getValue().get("behavior").asString()
                  + " "
                  + one.getValue().get("behaviorClose").asString();
          if (!verdict.matches("(OK|NON-STRICT|INFORMATIONAL) (OK|INFORMATIONAL)")) {
            failed.put(one.getKey(), verdict);
          }
        });
    assertThat(failed).isEmpty();
    assertThat(cases.size()).isGreaterThanOrEqualTo(CASES.equals("*") ? ALL : 1);
  }
}
