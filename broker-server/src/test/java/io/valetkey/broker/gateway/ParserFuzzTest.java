package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.valetkey.broker.identity.CompactJws;
import io.valetkey.broker.identity.SecurityEventVerifier.Verified;
import io.valetkey.broker.identity.StrictJson;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.SensorEvent;
import io.valetkey.broker.signal.SharedSignal;
import io.valetkey.broker.signal.Signal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.DataFormatException;
import org.jspecify.annotations.Nullable;

/**
 * Everything that parses what an agent sends, or what sensors write about it: it accepts or
 * refuses, and never does anything else. In the ordinary build each target runs on its seeds;
 * {@code JAZZER_FUZZ=1 mvn test -Dtest=ParserFuzzTest#path} searches for new inputs until it is
 * ended.
 */
class ParserFuzzTest {

  private static final ScopeRules RAW = new ScopeRules(Map.of(), Set.of(), Map.of(), true);

  @FuzzTest
  void token(byte[] input) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    try {
      CompactJws jws = CompactJws.parse(text);
      // One canonical spelling: whatever is accepted consists of three runs of the alphabet.
      assertThat(text).matches("[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+");
      assertThat(jws.header()).isNotNull();
    } catch (RefusedException refused) {
      assertThat(refused.detail()).doesNotContain(text.length() > 12 ? text : "\u0000");
    }
  }

  @FuzzTest
  void path(byte[] input) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    try {
      RequestPath path = RequestPath.parse(text);
      assertThat(path.raw()).isEqualTo(text).startsWith("/").doesNotContain("//", "\\", ";", "#");
      for (int i = 0; i < path.size(); i++) {
        assertThat(path.segment(i)).isNotIn(".", "..").doesNotContain("/", "\\", "\u0000");
      }
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty();
    }
  }

  @FuzzTest
  void rawPath(byte[] input) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    try {
      RequestPath path = RAW.read(RequestPath.receive(text));
      assertThat(path.raw()).isEqualTo(text).startsWith("/").doesNotContain("\\", "#", "?", " ");
      String read = text;
      for (int i = 0; i <= 3; i++) {
        for (String segment : read.split("[/\\\\]")) {
          assertThat(segment.split("[;?#]", 2)[0].strip()).isNotIn(".", "..");
        }
        read = leniently(read);
        assertThat(read).doesNotContain("\u0000", "\r", "\n");
      }
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty();
    }
  }

  /** As a server decodes that takes what is no triplet as it is. */
  private static String leniently(String text) {
    return Pattern.compile("%([0-9A-Fa-f]{2})")
        .matcher(text)
        .replaceAll(m -> Matcher.quoteReplacement("" + (char) Integer.parseInt(m.group(1), 16)));
  }

  @FuzzTest
  void slot(byte[] input) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    for (String name : new String[] {"Authorization", "x-api-key", "PRIVATE-TOKEN"}) {
      try {
        assertThat(TokenSlots.read(new Fields().add(name, text))).isNotEmpty();
      } catch (RefusedException refused) {
        assertThat(refused.detail()).isNotEmpty();
      }
    }
    try {
      Guard.accept(new Guard.Head("GET", text, new Fields().add("Host", "gateway")));
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty();
    }
    var hosts = new DestinationHosts("gw.test", "https://gw.test");
    Fields host = new Fields().add("Host", text + ".gw.test");
    try {
      // What names a destination is one label, and is known to be below the suffix.
      assertThat(Guard.acceptAtHost(hosts, new Guard.Head("GET", "/", host)).destination())
          .isEqualTo(text.toLowerCase(Locale.ROOT))
          .matches("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
      assertThat(hosts.areBelow(host.all("host"))).isTrue();
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty();
    }
  }

  /** An upstream's, not an agent's: but agents may have a say in what it answers. */
  @FuzzTest
  void usage(byte[] input) {
    for (String type : new String[] {"application/json", "text/event-stream"}) {
      UsageReader reader = UsageReader.of(type);
      reader.feed(input);
      reader.feed(input);
      assertThat(reader.tokens()).isBetween(0L, 4_000_000_000L);
    }
  }

  /** What the forward proxy reads before there is any HTTP parser or TLS. */
  @FuzzTest
  void connect(byte[] input) {
    try {
      ConnectHead head = ConnectHead.parse(new String(input, StandardCharsets.ISO_8859_1));
      assertThat(head.authority().host()).matches("[A-Za-z0-9.:\\[\\]-]+");
      assertThat(head.authority().port()).isBetween(1, 65535);
      assertThat(head.fields().list()).allMatch(field -> field.name().matches("[!-~]+"));
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty().hasSizeLessThan(120);
    }
  }

  @FuzzTest
  void clientHello(byte[] input) {
    if (ClientHello.look(input) instanceof ClientHello.Seen.Complete) {
      // What is complete was not so a byte before, and is not any more with one behind it.
      byte[] less = java.util.Arrays.copyOf(input, input.length - 1);
      assertThat(ClientHello.look(less)).isInstanceOf(ClientHello.Seen.Incomplete.class);
      byte[] more = java.util.Arrays.copyOf(input, input.length + 1);
      assertThat(ClientHello.look(more)).isInstanceOf(ClientHello.Seen.Bad.class);
    }
  }

  /** What a sensor sends is made of what the watched process did, byte by byte. */
  @FuzzTest
  void sensorEvent(byte[] input) {
    try {
      Signal signal = SensorEvent.read(input);
      assertThat(signal.facts().source()).isNotNull();
      // Names and words of fixed shapes; whatever else was there is gone.
      assertThat(signal.toString().length()).isLessThan(2500);
      assertThat(signal.words().values()).allMatch(word -> word.matches("[\\w:/-]{1,90}"));
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty().hasSizeLessThan(120);
    }
  }

  @FuzzTest
  void securityEvent(byte[] input) {
    try {
      Map<String, @Nullable Object> claims = StrictJson.object(input);
      Signal signal = SharedSignal.read(new Verified("t", "j", Instant.EPOCH, claims));
      assertThat(signal.facts().event()).matches("[a-z-]{1,64}");
      assertThat(signal.occurredAt()).isBeforeOrEqualTo(Instant.EPOCH);
    } catch (IllegalArgumentException notJson) {
      assertThat(notJson.getMessage()).startsWith("not ");
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty().hasSizeLessThan(120);
    }
  }

  /** Whatever the frames are and however they arrive: they are refused, or said again the same. */
  @FuzzTest
  void webSocketFrames(byte[] input) {
    for (boolean masked : new boolean[] {true, false}) {
      String whole = frames(masked, input, Math.max(1, input.length));
      assertThat(frames(masked, input, 1)).isEqualTo(whole);
    }
  }

  /** What an upstream packs is unpacked the same however it arrives, or refused. */
  @FuzzTest
  void gzip(byte[] input) {
    String whole = unpacked(input, Math.max(1, input.length));
    String pieces = unpacked(input, 1);
    // Where it is refused, pieces before that have come out already.
    assertThat(pieces.endsWith("!")).isEqualTo(whole.endsWith("!"));
    assertThat(whole.endsWith("!") || pieces.equals(whole)).isTrue();
  }

  private static String unpacked(byte[] input, int step) {
    StringBuilder out = new StringBuilder();
    GzipBody body = new GzipBody();
    try {
      for (int at = 0; at < input.length; at += step) {
        byte[] piece = java.util.Arrays.copyOfRange(input, at, Math.min(input.length, at + step));
        out.append(new String(body.unpack(piece), StandardCharsets.ISO_8859_1));
      }
    } catch (DataFormatException refused) {
      assertThat(refused).hasMessageNotContaining("sk-real");
      return out + "!";
    }
    return body.isComplete() ? out + "." : out + "!";
  }

  private static String frames(boolean masked, byte[] input, int step) {
    StringBuilder seen = new StringBuilder();
    var sink =
        new WebSocketFrames.Sink() {
          private boolean inMessage;

          @Override
          public void data(int opcode, boolean last, byte[] payload) {
            assertThat(opcode == WebSocketFrames.CONTINUATION).isEqualTo(inMessage);
            assertThat(payload.length).isLessThanOrEqualTo(WebSocketFrames.PIECE);
            inMessage = !last;
            note(opcode, last, payload);
          }

          @Override
          public void control(int opcode, byte[] payload) {
            assertThat(payload.length).isLessThanOrEqualTo(125);
            assertThat(seen).doesNotContain(WebSocketFrames.CLOSE + "t");
            note(opcode, true, payload);
          }

          private void note(int opcode, boolean last, byte[] payload) {
            seen.append(opcode).append(last ? 't' : 'f').append(payload.length).append(' ');
            seen.append(new String(payload, StandardCharsets.ISO_8859_1).hashCode()).append('|');
          }
        };
    var reader = new WebSocketFrames(masked, 1 << 20, sink);
    try {
      for (int at = 0; at < input.length; at += step) {
        reader.feed(java.util.Arrays.copyOfRange(input, at, Math.min(input.length, at + step)));
      }
    } catch (WebSocketViolation refused) {
      assertThat(refused.closeCode()).isIn(1002, 1007, 1009);
      seen.append(refused.getMessage());
    }
    return seen.toString();
  }

  @FuzzTest
  void webSocketHandshake(byte[] input) {
    String text = new String(input, StandardCharsets.ISO_8859_1);
    Fields fields = new Fields().add("Host", "gateway");
    for (String line : text.split("\n", -1)) {
      int colon = Math.max(line.indexOf(':'), 0);
      fields.add(line.substring(0, colon), line.substring(colon));
    }
    fields.add("Upgrade", "websocket").add("Sec-WebSocket-Key", text);
    try {
      var handshake =
          WebSocketHandshake.of(
              new Guard.Accepted(Way.BASE_URL, "GET", "d", RequestPath.parse("/"), null, fields));
      assertThat(handshake).isNotNull();
      assertThat(handshake.key()).isNotEqualTo(handshake.callerKey()).hasSize(24);
      assertThat(handshake.protocols()).allMatch(p -> p.matches("[!-~]+"));
    } catch (RefusedException refused) {
      assertThat(refused.detail()).isNotEmpty();
    }
  }
}
