package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.realparts.Python;
import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Somebody else's WebSocket client and server, with the gateway between them. */
@Timeout(400)
class WebSocketClientsTest {

  private static final String SERVER =
      """
      import asyncio, ssl, sys
      from websockets.asyncio.server import serve
      async def handler(ws):
          print("AUTH", ws.request.headers["Authorization"], ws.request.path, flush=True)
          if ws.request.path == "/v1/live/leak":
              secret = ws.request.headers["Authorization"]
              await ws.send("you sent " + secret)
              async def parts():
                  for c in secret:
                      yield c
              await ws.send(parts())
              await ws.send(secret.encode())
          async for message in ws:
              await ws.send(message)
      async def main():
          tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
          tls.load_cert_chain(sys.argv[1], sys.argv[2])
          async with serve(handler, "127.0.0.1", 0, ssl=tls, max_size=None,
                           subprotocols=["realtime"]) as server:
              print("PORT", server.sockets[0].getsockname()[1], flush=True)
              await asyncio.get_running_loop().create_future()
      asyncio.run(main())
      """;

  private static final String CLIENT =
      """
      import asyncio, sys
      from websockets.asyncio.client import connect
      from websockets.exceptions import ConnectionClosed, InvalidStatus
      async def main():
          base = sys.argv[1]
          auth = {"additional_headers": {"Authorization": "Bearer good"},
                  "subprotocols": ["realtime"]}
          async with connect(base + "echo", max_size=None, **auth) as ws:
              assert ws.subprotocol == "realtime", ws.subprotocol
              for message in ["", "x", "\\u00fc\\u20ac\\U0001f511", b"", b"\\x00\\xff",
                              "y" * 100000, b"z" * 1000000]:
                  await ws.send(message)
                  got = await ws.recv()
                  assert got == message, (len(got), len(message))
              async def parts():
                  for i in range(1000):
                      yield str(i)
              await ws.send(parts())
              assert await ws.recv() == "".join(str(i) for i in range(1000))
              await (await ws.ping())
              await asyncio.gather(*(ws.send("n%d" % i) for i in range(500)))
              assert [await ws.recv() for _ in range(500)] == ["n%d" % i for i in range(500)]
              await ws.close(4001, "bye")
          assert ws.close_code == 4001, ws.close_code
          async with connect(base + "leak", **auth) as ws:
              for _ in range(3):
                  got = await ws.recv()
                  got = got.decode() if isinstance(got, bytes) else got
                  assert "sk-real" not in got and got.endswith("*" * 29), got
          # Without a token; in a tunnel, which has one, where no rule says so.
          url, status = (base + "echo", 401) if base.startswith("ws:") else (base[:-5] + "x", 403)
          try:
              await connect(url)
              raise SystemExit("connected without leave")
          except InvalidStatus as e:
              assert e.response.status_code == status, e
          async with connect(base + "echo", **auth) as ws:
              print("OPEN", flush=True)
              try:
                  while True:
                      await ws.send("x")
                      await ws.recv()
              except ConnectionClosed as e:
                  assert e.rcvd and e.rcvd.code == 1008, e
          print("DONE", flush=True)
      asyncio.run(main())
      """;

  @TempDir private Path folder;
  private Process server;
  private int port;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    Path python = Python.with("python-websockets", "websockets");
    TestAuthority authority = TestAuthority.create("upstreams");
    TestCertificate certificate = authority.server("upstream.test");
    Path key = Files.writeString(folder.resolve("k.pem"), certificate.keyPem());
    Path chain = Files.writeString(folder.resolve("c.pem"), certificate.certificatePem());
    server = TestPython.start(python, SERVER, chain.toString(), key.toString());
    port = Integer.parseInt(TestPython.await(server, "PORT ").strip());
    gateway = new TestGateway(port, TestCertificates.trusting(authority.certificate()));
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
  void pythonsWebsockets_passThroughAndAreStopped() throws Exception {
    passThroughAndAreStopped(
        Map.of(), "ws://127.0.0.1:" + gateway.server.port() + "/d/up/v1/live/", 1);
  }

  /** Knowing nothing but the proxy; two exchanges are open then, the tunnel and what is in it. */
  @Test
  void pythonsWebsockets_throughTheForwardProxy_passThroughAndAreStopped() throws Exception {
    Path authority =
        Files.writeString(folder.resolve("ca.pem"), gateway.certificates.authority().trustedPem());
    passThroughAndAreStopped(
        Map.of(
            "https_proxy",
            "http://agent:good@127.0.0.1:" + gateway.forward.port(),
            "SSL_CERT_FILE",
            authority.toString()),
        "wss://upstream.test:" + port + "/v1/live/",
        2);
  }

  private void passThroughAndAreStopped(Map<String, String> environment, String base, int exchanges)
      throws Exception {
    Path python = Python.with("python-websockets", "websockets");
    Process client = TestPython.start(python, environment, CLIENT, base);
    TestPython.await(client, "OPEN");
    await().until(() -> gateway.live.size() == exchanges);
    Thread.sleep(100);
    long began = System.nanoTime();
    assertThat(gateway.live.cut(exchange -> true)).isEqualTo(exchanges);
    TestPython.await(client, "DONE");
    assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(2));
    assertThat(client.waitFor(10, TimeUnit.SECONDS)).isTrue();
    assertThat(TestPython.await(server, "AUTH "))
        .isEqualTo("Bearer " + TestGateway.KEY + " /v1/live/echo");
    await().until(() -> gateway.live.size() == 0);
  }
}
