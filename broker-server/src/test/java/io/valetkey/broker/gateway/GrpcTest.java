package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.realparts.Python;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Somebody else's gRPC client, with the proxy's address and authority or with a base URL and
 * nothing else, and somebody else's gRPC server that wants a credential which the client does not
 * hold. Invariants: G18, G19, P2.
 */
@Timeout(180)
class GrpcTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String HOST = "upstream.test";

  private static final String SERVER =
      """
      import grpc, sys, threading, time
      from concurrent import futures
      key, certificate, credential = sys.argv[1:]
      def allowed(context):
          got = dict(context.invocation_metadata())
          if got.get("authorization") != "Bearer " + credential or "good" in str(got):
              context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
          context.set_trailing_metadata((("x-echo", got["authorization"]), ("x-kept", "yes")))
      def echo(request, context):
          allowed(context)
          return b"<" + request + b" " + credential.encode() + b">"
      def fail(request, context):
          allowed(context)
          context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")
      def count(request, context):
          allowed(context)
          for i in range(int(request)):
              yield str(i).encode()
      def total(requests, context):
          allowed(context)
          return str(sum(int(r) for r in requests)).encode()
      def chat(requests, context):
          allowed(context)
          for request in requests:
              yield request.upper()
      def forever(request, context):
          allowed(context)
          context.add_callback(lambda: print("GONE", flush=True))
          while context.is_active():
              yield b"tick"
              time.sleep(0.05)
      server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
      server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1", {
          "Echo": grpc.unary_unary_rpc_method_handler(echo),
          "Fail": grpc.unary_unary_rpc_method_handler(fail),
          "Count": grpc.unary_stream_rpc_method_handler(count),
          "Total": grpc.stream_unary_rpc_method_handler(total),
          "Chat": grpc.stream_stream_rpc_method_handler(chat),
          "Forever": grpc.unary_stream_rpc_method_handler(forever),
      }),))
      credentials = grpc.ssl_server_credentials([(open(key, "rb").read(), open(certificate, "rb").read())])
      print("PORT", server.add_secure_port("127.0.0.1:0", credentials), flush=True)
      server.start()
      server.wait_for_termination()
      """;

  private static final String CLIENT =
      """
      import grpc, queue, sys
      target, authority, prefix = sys.argv[1:4]
      metadata = [tuple(m.split("=")) for m in sys.argv[4:]]
      channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(open(authority, "rb").read()))
      def say(*words):
          print(*words, flush=True)
      answer, call = channel.unary_unary(prefix + "/v1/Echo").with_call(b"abc", metadata=metadata, timeout=30)
      say("UNARY", answer.decode())
      say("TRAILERS", sorted((k, v) for k, v in call.trailing_metadata()))
      try:
          channel.unary_unary(prefix + "/v1/Fail")(b"", metadata=metadata, timeout=30)
      except grpc.RpcError as e:
          say("FAIL", e.code().name, e.details())
      say("COUNT", b" ".join(channel.unary_stream(prefix + "/v1/Count")(b"5", metadata=metadata, timeout=30)).decode())
      say("TOTAL", channel.stream_unary(prefix + "/v1/Total")(iter([b"1", b"2", b"3"]), metadata=metadata, timeout=30).decode())
      asked = queue.Queue()
      chat = channel.stream_stream(prefix + "/v1/Chat")(iter(asked.get, None), metadata=metadata, timeout=30)
      heard = []
      for word in (b"one", b"two", b"three"):
          asked.put(word)  # only when the last one was answered
          heard.append(next(chat).decode())
      asked.put(None)
      say("CHAT", *heard, len(list(chat)))
      try:
          channel.unary_unary(prefix + "/v2/Echo")(b"", metadata=metadata, timeout=30)
      except grpc.RpcError as e:
          say("REFUSED", e.code().name)
      forever = channel.unary_stream(prefix + "/v1/Forever")(b"", metadata=metadata, timeout=60)
      try:
          for tick in forever:
              say("OPEN", tick.decode())
          say("COMPLETE")
      except grpc.RpcError as e:
          say("CUT", e.code().name)
      """;

  @TempDir private Path folder;
  private Path python;
  private Process server;
  private int port;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    python = Python.with("python-grpc", "grpcio");
    KeyManagerFactory keys = CERTIFICATES.validKeys(HOST);
    Path key = Files.writeString(folder.resolve("key.pem"), TestCertificates.keyPem(keys));
    Path chain = Files.writeString(folder.resolve("crt.pem"), TestCertificates.chainPem(keys));
    server = TestPython.start(python, SERVER, key.toString(), chain.toString(), TestGateway.KEY);
    port = Integer.parseInt(TestPython.await(server, "PORT").strip());
    gateway = new TestGateway(port, CERTIFICATES.trust(), CERTIFICATES.validKeys("localhost"));
    gateway.http2 = true;
  }

  @AfterEach
  void stop() {
    if (gateway != null) {
      gateway.close();
    }
    server.destroyForcibly();
  }

  private Process client(Map<String, String> environment, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(python.toString(), "-c", CLIENT));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().keySet().removeIf(name -> name.toLowerCase().contains("proxy"));
    builder.environment().putAll(environment);
    return builder.start();
  }

  /** All four kinds of calls, a failed one, one that nobody allowed, and a stop of an open one. */
  private void everything(Process client) throws Exception {
    try {
      String masked = "*".repeat(TestGateway.KEY.length());
      assertThat(TestPython.await(client, "UNARY ")).isEqualTo("<abc " + masked + ">");
      assertThat(TestPython.await(client, "TRAILERS "))
          .isEqualTo("[('x-echo', 'Bearer " + masked + "'), ('x-kept', 'yes')]");
      assertThat(TestPython.await(client, "FAIL ")).isEqualTo("NOT_FOUND nothing here");
      assertThat(TestPython.await(client, "COUNT ")).isEqualTo("0 1 2 3 4");
      assertThat(TestPython.await(client, "TOTAL ")).isEqualTo("6");
      assertThat(TestPython.await(client, "CHAT ")).isEqualTo("ONE TWO THREE 0");
      assertThat(TestPython.await(client, "REFUSED ")).isEqualTo("PERMISSION_DENIED");
      assertThat(TestPython.await(client, "OPEN ")).isEqualTo("tick");

      assertThat(gateway.live.cut(exchange -> true)).isPositive();

      assertThat(TestPython.await(client, "CUT ")).isIn("CANCELLED", "UNAVAILABLE", "UNKNOWN");
      TestPython.await(server, "GONE");
      await()
          .untilAsserted(() ->
              assertThat(gateway.records).anyMatch(record -> record.code() == ProblemCode.STOPPED));
    } finally {
      client.destroyForcibly();
    }
  }

  @Test
  void unmodifiedClient_throughTheForwardProxy_works() throws Exception {
    Path authority =
        Files.writeString(
            folder.resolve("proxy-ca.pem"),
            TestCertificates.pem(
                "CERTIFICATE", gateway.certificates.authority().trusted().getEncoded()));
    String proxy = "http://agent:good@127.0.0.1:" + gateway.forward.port();
    everything(client(Map.of("https_proxy", proxy), HOST + ":" + port, authority.toString(), ""));
  }

  @Test
  void client_byBaseUrl_works() throws Exception {
    Path authority = Files.writeString(folder.resolve("ca.pem"), CERTIFICATES.pem());
    everything(
        client(
            Map.of(),
            "localhost:" + gateway.server.port(),
            authority.toString(),
            "/d/up",
            "authorization=Bearer good"));
  }
}
