package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.valetkey.realparts.ProcessMemory;
import io.valetkey.realparts.Python;
import io.valetkey.realparts.TestCertificate;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The Model Context Protocol's own Python client talks to its own server through the gateway, over
 * its streamable HTTP transport: sessions, questions of the server in the middle of a call, and
 * notifications on the stream that stays open. Only the gateway has the server's token. Invariant:
 * G20.
 */
@Timeout(400)
class McpTest {

  private static final String CREDENTIAL = "mcp-canary-credential-31337";

  private static final String SERVER =
      """
      import asyncio, os, socket, uvicorn
      from mcp.server.fastmcp import Context, FastMCP
      from mcp.types import SamplingMessage, TextContent
      mcp = FastMCP("tools")

      @mcp.tool()
      async def add(a: int, b: int) -> int:
          return a + b

      @mcp.tool()
      async def ask(question: str, ctx: Context) -> str:
          said = SamplingMessage(role="user", content=TextContent(type="text", text=question))
          answer = await ctx.session.create_message(
              messages=[said], max_tokens=9, related_request_id=ctx.request_id)
          return "answered " + answer.content.text

      @mcp.tool()
      async def announce(ctx: Context) -> str:
          await ctx.session.send_tool_list_changed()
          return "announced"

      @mcp.tool()
      async def headers(ctx: Context) -> str:
          return "you sent " + ctx.request_context.request.headers["authorization"]

      app = mcp.streamable_http_app()
      expected = b"Bearer " + os.environ["SERVER_TOKEN"].encode()

      async def guarded(scope, receive, send):
          if scope["type"] == "http":
              fields = dict(scope["headers"])
              session = "session" if b"mcp-session-id" in fields else "new"
              print("REQUEST", scope["method"], scope["path"], session, flush=True)
              if fields.get(b"authorization") != expected:
                  await send({"type": "http.response.start", "status": 403, "headers": []})
                  await send({"type": "http.response.body", "body": b""})
                  return
          await app(scope, receive, send)

      listener = socket.create_server(("127.0.0.1", 0))
      print("PORT", listener.getsockname()[1], flush=True)
      config = uvicorn.Config(guarded, log_level="warning", lifespan="on",
                              ssl_certfile="chain.pem", ssl_keyfile="key.pem")
      asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
      """;

  private static final String CLIENT =
      """
      import anyio, os, sys
      from mcp import ClientSession
      from mcp.client.streamable_http import streamablehttp_client
      from mcp.types import CreateMessageResult, ServerNotification, TextContent, ToolListChangedNotification

      async def main():
          changed = anyio.Event()

          async def sampled(context, params):
              print("ASKED", params.messages[0].content.text, flush=True)
              answer = TextContent(type="text", text="42")
              return CreateMessageResult(role="assistant", content=answer, model="m")

          async def heard(message):
              if isinstance(message, ServerNotification) and isinstance(
                      message.root, ToolListChangedNotification):
                  changed.set()

          headers = {"Authorization": "Bearer " + os.environ["MCP_TOKEN"]}
          async with streamablehttp_client(os.environ["MCP_URL"], headers=headers) as (read, write, get_id):
              async with ClientSession(
                      read, write, sampling_callback=sampled, message_handler=heard) as session:
                  await session.initialize()
                  print("SESSION", get_id() is not None, flush=True)
                  tools = await session.list_tools()
                  print("TOOLS", " ".join(tool.name for tool in tools.tools), flush=True)

                  async def call(name, **arguments):
                      result = await session.call_tool(name, arguments)
                      return result.content[0].text

                  print("ADD", await call("add", a=2, b=3), flush=True)
                  print("ASK", await call("ask", question="what is it"), flush=True)
                  print("HEADERS", await call("headers"), flush=True)
                  while not changed.is_set():
                      await call("announce")
                      with anyio.move_on_after(0.5):
                          await changed.wait()
                  print("HEARD", flush=True)
                  await anyio.to_thread.run_sync(sys.stdin.readline)
          print("CLOSED", flush=True)

      anyio.run(main)
      """;

  @TempDir private Path folder;

  @Test
  void client_initializesListsCallsIsAskedAndHears_withoutTheCredential() throws Exception {
    assumeTrue(ProcessMemory.isReadable(), "SKIPPED: this system does not show memory");
    // The versions that keep sessions and a stream for notifications.
    Path python = Python.with("python-mcp", "mcp<2", "uvicorn");
    try (BrokeredWorld world = new BrokeredWorld(folder);
        WatchedProgram server = server(world, python)) {
      String port = server.await("PORT ");
      world.credential("tools", CREDENTIAL);
      world.destination(
          "tools",
          "{\"kind\":\"http\",\"origin\":\"https://localhost:%s\",\"credential\":{\"source\":\"file\",\"name\":\"tools\"}}"
              .formatted(port),
          "{\"methods\":[\"GET\",\"POST\",\"DELETE\"],\"paths\":[\"/mcp\"]}");
      String token = world.token("tools");
      try (var relay =
              new RecordingRelay(
                  world.authority.server("localhost").serverContext(),
                  world.authority.trust(),
                  URI.create(world.gatewayUrl));
          var client =
              new WatchedProgram(
                  folder,
                  Map.of(
                      "MCP_URL",
                      relay.url() + "/d/tools/mcp",
                      "MCP_TOKEN",
                      token,
                      "SSL_CERT_FILE",
                      world.authorityPem.toString()),
                  python.toString(),
                  "-c",
                  CLIENT)) {
        assertThat(client.await("SESSION ")).isEqualTo("True");
        assertThat(client.await("TOOLS ")).isEqualTo("add ask announce headers");
        assertThat(client.await("ADD ")).isEqualTo("5");
        // The server asks back in the middle of its answer: whoever buffers that waits for ever.
        assertThat(client.await("ASKED ")).isEqualTo("what is it");
        assertThat(client.await("ASK ")).isEqualTo("answered 42");
        assertThat(client.await("HEADERS "))
            .isEqualTo("you sent Bearer " + "*".repeat(CREDENTIAL.length()));
        client.await("HEARD");

        assertThat(client.holds(token)).as("what it does hold is found").isTrue();
        assertThat(client.holds(CREDENTIAL)).isFalse();
        assertThat(relay.seen()).contains(token, "GET /d/tools/mcp").doesNotContain(CREDENTIAL);
        client.goOn();
        client.await("CLOSED");
        assertThat(client.end()).isZero();
        server.await("REQUEST POST /mcp new");
        server.await("REQUEST DELETE /mcp session");
      }
    }
  }

  private WatchedProgram server(BrokeredWorld world, Path python) throws Exception {
    TestCertificate certificate = world.authority.server("localhost");
    Files.writeString(folder.resolve("chain.pem"), certificate.certificatePem());
    Files.writeString(folder.resolve("key.pem"), certificate.keyPem());
    return new WatchedProgram(
        folder, Map.of("SERVER_TOKEN", CREDENTIAL), python.toString(), "-c", SERVER);
  }
}
