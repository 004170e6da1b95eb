package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Whatever an exchange is doing, a stop ends it, on both sides, and says how much had passed.
 * Invariants: P2, S7.
 */
class ForcedCloseTest {

  /** Of P2. */
  private static final Duration BOUND = Duration.ofSeconds(2);

  @TempDir private static Path folder;
  private static StopStage stage;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    stage = new StopStage(folder);
    broker = RunningBroker.start(stage.settings());
    stage.writePolicy(
        broker, "sse", "download", "upload", "never", "slow", "many-1", "many-2", "other", "stuck");
  }

  @AfterAll
  static void stop() {
    broker.close();
    stage.close();
  }

  private static String token(String agent) throws Exception {
    return stage.token(broker, agent);
  }

  private static void stopAgent(String agent) throws Exception {
    JsonNode stop = StopStage.order(broker, "{\"agent\":\"" + agent + "\"}");
    JsonNode done = StopStage.awaitAcknowledged(broker, stop);
    assertThat(done.at("/streams/cut").asInt()).isOne();
  }

  /** The details of the record of the exchange that was cut. */
  private static String record(String agent) {
    return await()
        .atMost(Duration.ofSeconds(5))
        .until(
            () -> {
              try (var database = broker.database();
                  var rows =
                      database
                          .createStatement()
                          .executeQuery(
                              "SELECT (details->>'bytes_to_upstream') || ' up, ' ||"
                                  + " (details->>'bytes_to_caller') || ' down' FROM audit_record"
                                  + " WHERE reason = 'stopped' AND action = 'gateway.request'"
                                  + " AND agent = '"
                                  + agent
                                  + "'")) {
                return rows.next() ? rows.getString(1) : null;
              }
            },
            found -> found != null);
  }

  private static void requireCut(OpenStream exchange, int openBefore) throws Exception {
    assertThat(exchange.awaitEnd(2)).as("cut at the caller: " + exchange.text()).isTrue();
    assertThat(exchange.looksComplete()).isFalse();
    await().atMost(Duration.ofSeconds(3)).until(() -> stage.open.get() <= openBefore);
  }

  @Test
  void eventStream_isCut() throws Exception {
    int before = stage.open.get();
    OpenStream stream = OpenStream.open(broker.gatewayUrl(), token("sse"));

    stopAgent("sse");

    requireCut(stream, before);
    assertThat(record("sse")).matches("0 up, [1-9][0-9]* down");
  }

  @Test
  void answerOfAStatedLength_isCutShort() throws Exception {
    int before = stage.open.get();
    OpenStream stream =
        OpenStream.send(
            broker.gatewayUrl(), OpenStream.head("GET", "/download", token("download"), ""));
    stream.awaitBegin();
    await().until(() -> stream.bytes > 1000);

    stopAgent("download");

    requireCut(stream, before);
    assertThat(stream.bytes).isLessThan(1_000_000);
    assertThat(record("download")).matches("0 up, [1-9][0-9]*000 down");
  }

  @Test
  void bodyThatIsStillSent_isNotTakenAnyFurther() throws Exception {
    int before = stage.open.get();
    OpenStream upload =
        OpenStream.send(
            broker.gatewayUrl(),
            OpenStream.head("POST", "/upload", token("upload"), "Content-Length: 100000\r\n"));
    upload.write("x".repeat(5000));
    await().until(() -> stage.open.get() == before + 1);
    Thread.sleep(200);

    stopAgent("upload");

    assertThat(upload.awaitEnd(3)).isTrue();
    assertThat(upload.text()).startsWith("HTTP/1.1 401").contains("Valetkey-Error: invalid_token");
    await().atMost(Duration.ofSeconds(3)).until(() -> stage.open.get() <= before);
    assertThat(record("upload")).isEqualTo("5000 up, 0 down");
  }

  @Test
  void waitForAnUpstreamThatNeverAnswers_ends() throws Exception {
    OpenStream waiting =
        OpenStream.send(broker.gatewayUrl(), OpenStream.head("GET", "/never", token("never"), ""));
    int before = stage.received.get();
    await()
        .atMost(Duration.ofSeconds(5))
        .until(() -> stage.open.get() > 0 || stage.received.get() > before);
    long begun = System.nanoTime();

    stopAgent("never");

    await().until(() -> waiting.text().startsWith("HTTP/1.1 401"));
    assertThat(Duration.ofNanos(System.nanoTime() - begun)).isLessThan(BOUND);
    assertThat(record("never")).isEqualTo("0 up, 0 down");
    waiting.close();
  }

  @Test
  void idleConnectionsToUpstreams_areClosedByAnyStop() throws Exception {
    String port = ":%04X".formatted(stage.port());
    assertThat(StopStage.use(broker.gatewayUrl(), token("other"))).isEqualTo(200);
    long idle = established(port);
    assertThat(idle).isPositive();

    StopStage.order(broker, "{\"agent\":\"somebody\"}");

    await().atMost(BOUND).until(() -> established(port) < idle);
  }

  /** What waits to be written must not go out after the stop, nor keep the connection open. */
  @Test
  void callerThatDoesNotRead_getsNothingAfterTheStop_exceptWhatItsOwnKernelHolds()
      throws Exception {
    try (var socket = new Socket()) {
      socket.setReceiveBufferSize(8 * 1024);
      var uri = URI.create(broker.gatewayUrl());
      socket.connect(new InetSocketAddress(uri.getHost(), uri.getPort()));
      socket
          .getOutputStream()
          .write(OpenStream.head("GET", "/flood", token("slow"), "").getBytes("US-ASCII"));
      await()
          .during(Duration.ofMillis(700))
          .atMost(Duration.ofSeconds(20))
          .until(
              new Callable<>() {
                private long last = -1;

                @Override
                public Boolean call() {
                  long now = stage.flooded.get();
                  boolean stuck = now > 0 && now == last;
                  last = now;
                  return stuck;
                }
              });

      long begun = System.nanoTime();
      stopAgent("slow");
      await().atMost(BOUND).until(() -> closedByGateway(socket));
      System.out.printf(
          "caller that does not read: its connection was closed %d ms after the order%n",
          (System.nanoTime() - begun) / 1_000_000);

      long read = drain(socket.getInputStream());
      System.out.printf("it could still read %d KiB%n", read / 1024);
      // A reset throws away what the gateway's kernel still had, which was megabytes.
      assertThat(read).isLessThan(128 * 1024);
    }
  }

  @Test
  void bodyForAnUpstreamThatDoesNotRead_isThrownAway() throws Exception {
    String port = ":%04X".formatted(stage.port());
    long before = established(port);
    OpenStream upload =
        OpenStream.send(
            broker.gatewayUrl(),
            OpenStream.head("POST", "/stuck", token("stuck"), "Content-Length: 9000000\r\n"));
    var writer =
        Thread.ofVirtual()
            .start(() -> {
              try {
                upload.write("x".repeat(9_000_000));
              } catch (IOException e) {
                // That is the cut.
              }
            });
    await().until(() -> stage.stuck.get() == 1 && established(port) > before);
    Thread.sleep(500);

    stopAgent("stuck");

    await().atMost(BOUND).until(() -> established(port) <= before);
    upload.close();
    writer.join();
  }

  /** Whether the gateway's end of the connection is gone, seen without reading from ours. */
  private static boolean closedByGateway(Socket socket) throws Exception {
    return established(":%04X".formatted(socket.getLocalPort())) == 0;
  }

  /** How many ends of connections there are whose other end has this port. */
  private static long established(String port) throws IOException {
    long count = 0;
    for (String file : new String[] {"/proc/net/tcp", "/proc/net/tcp6"}) {
      try (var lines = Files.lines(Path.of(file))) {
        // Field 2 is the remote address; state 01 is established.
        count +=
            lines
                .map(line -> line.strip().split("\\s+"))
                .filter(fields -> fields[2].endsWith(port) && fields[3].equals("01"))
                .count();
      }
    }
    return count;
  }

  private static long drain(InputStream in) {
    long read = 0;
    try {
      byte[] piece = new byte[16 * 1024];
      int n = in.read(piece);
      while (n >= 0) {
        read += n;
        n = in.read(piece);
      }
    } catch (IOException e) {
      // A reset ends it.
    }
    return read;
  }

  @Test
  void thousandEventStreams_areCutByOneStop_andNobodyElses() throws Exception {
    stage.eventMillis = 500;
    String[] tokens = {token("many-1"), token("many-2")};
    List<OpenStream> streams = openAtOnce(1000, tokens);
    OpenStream other = OpenStream.open(broker.gatewayUrl(), token("other"));
    try {
      long begun = System.nanoTime();
      JsonNode first = StopStage.order(broker, "{\"agent\":\"many-1\"}");
      JsonNode second = StopStage.order(broker, "{\"agent\":\"many-2\"}");
      long ordered = System.nanoTime();
      for (OpenStream stream : streams) {
        assertThat(stream.awaitEnd(10)).isTrue();
      }
      long[] ends = streams.stream().mapToLong(s -> s.endNanos - ordered).sorted().toArray();
      JsonNode one = StopStage.awaitAcknowledged(broker, first);
      JsonNode two = StopStage.awaitAcknowledged(broker, second);
      System.out.printf(
          "1000 event streams on one gateway: ends after the answer to the order: p50 %d ms, p99 %d"
              + " ms, last %d ms (orders took %d ms)%n",
          ends[500] / 1_000_000,
          ends[990] / 1_000_000,
          ends[999] / 1_000_000,
          (ordered - begun) / 1_000_000);
      assertThat(Duration.ofNanos(ends[999])).isLessThan(BOUND);
      assertThat(one.at("/streams/cut").asInt() + two.at("/streams/cut").asInt()).isEqualTo(1000);
      assertThat(other.hasEnded()).isFalse();
      assertThat(Arrays.stream(tokens).map(ForcedCloseTest::use)).containsOnly(401);
    } finally {
      stage.eventMillis = 50;
      other.close();
    }
  }

  private static int use(String token) {
    try {
      return StopStage.use(broker.gatewayUrl(), token);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private static List<OpenStream> openAtOnce(int count, String[] tokens) throws Exception {
    List<Future<OpenStream>> opening = new ArrayList<>();
    List<OpenStream> streams = new ArrayList<>();
    try (var threads = Executors.newFixedThreadPool(16)) {
      for (int i = 0; i < count; i++) {
        String token = tokens[i % tokens.length];
        opening.add(threads.submit(() -> OpenStream.open(broker.gatewayUrl(), token)));
      }
      for (Future<OpenStream> stream : opening) {
        streams.add(stream.get());
      }
    }
    return streams;
  }
}
