package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The opening handshake of a WebSocket, from the caller and to the upstream. The two have keys of
 * their own, and neither has extensions: a compressed frame would hide an echo of the credential.
 *
 * @param callerKey the caller's {@code Sec-WebSocket-Key}
 * @param key the one that is sent upstream
 * @param protocols the subprotocols that the caller offers and that are passed on
 * @see <a href="https://www.rfc-editor.org/rfc/rfc6455#section-4">RFC 6455 section 4</a>
 */
record WebSocketHandshake(String callerKey, String key, List<String> protocols) {

  private static final SecureRandom RANDOM = new SecureRandom();
  private static final String GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  private static final String VERSION = "13";
  private static final int KEY_BYTES = 16;
  private static final int MOST_PROTOCOLS = 20;

  /** A slot for a caller's own key in browsers, and so a way for one to leave. */
  private static final String KEY_PROTOCOL = "openai-insecure-api-key.";

  /** What a client offers that speaks HTTP/1.1 as well; ignoring it is the refusal of RFC 9110. */
  private static final Set<String> IGNORED = Set.of("h2c");

  /** Copies the list. */
  WebSocketHandshake {
    protocols = List.copyOf(protocols);
  }

  /**
   * The handshake in a request that the guard accepted, or null if it is an ordinary request.
   *
   * @throws RefusedException if it asks for an upgrade to something else, or in a way that is not
   *     exactly that of RFC 6455
   */
  static @Nullable WebSocketHandshake of(Guard.Accepted request) {
    Fields fields = request.fields();
    if (!fields.has("upgrade")) {
      return null;
    }
    List<String> upgrades = fields.all("upgrade");
    String upgrade = upgrades.getFirst().strip().toLowerCase(Locale.ROOT);
    if (upgrades.size() == 1 && IGNORED.contains(upgrade)) {
      return null;
    }
    require(upgrades.size() == 1 && upgrade.equals("websocket"), "not an upgrade to WebSocket");
    require(request.method().equals("GET"), "a WebSocket begins with GET");
    require(
        fields.all("connection").size() == 1
            && fields.members("connection").equals(List.of("upgrade")),
        "Connection is not Upgrade alone");
    require(
        !fields.has("content-length") && !fields.has("transfer-encoding") && !fields.has("expect"),
        "an upgrade has no body");
    require(fields.all("sec-websocket-version").equals(List.of(VERSION)), "not version 13");
    require(!fields.has("sec-websocket-accept"), "Sec-WebSocket-Accept in a request");
    List<String> keys = fields.all("sec-websocket-key");
    require(keys.size() == 1 && isKey(keys.getFirst()), "not one key of 16 bytes");
    byte[] own = new byte[KEY_BYTES];
    RANDOM.nextBytes(own);
    return new WebSocketHandshake(
        keys.getFirst(), Base64.getEncoder().encodeToString(own), offered(fields));
  }

  private static boolean isKey(String text) {
    try {
      byte[] bytes = Base64.getDecoder().decode(text);
      return bytes.length == KEY_BYTES && Base64.getEncoder().encodeToString(bytes).equals(text);
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  private static List<String> offered(Fields fields) {
    List<String> offered = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (String line : fields.all("sec-websocket-protocol")) {
      for (String member : line.split(",", -1)) {
        String protocol = member.strip();
        require(Guard.isToken(protocol.replace('_', '-')), "a subprotocol is not a token");
        require(seen.add(protocol), "a subprotocol is offered twice");
        if (!protocol.startsWith(KEY_PROTOCOL)) {
          offered.add(protocol);
        }
      }
    }
    require(offered.size() <= MOST_PROTOCOLS, "too many subprotocols");
    return offered;
  }

  /** The fields of the handshake that goes upstream. */
  Fields forUpstream() {
    Fields fields =
        new Fields()
            .add("Upgrade", "websocket")
            .add("Connection", "Upgrade")
            .add("Sec-WebSocket-Key", key)
            .add("Sec-WebSocket-Version", VERSION);
    return protocols.isEmpty()
        ? fields
        : fields.add("Sec-WebSocket-Protocol", String.join(", ", protocols));
  }

  /**
   * What is wrong with the head of the upstream's 101.
   *
   * @return one sentence, or null if it is the answer to this handshake
   */
  @Nullable String problemWith(Fields answer) {
    if (!answer.members("upgrade").equals(List.of("websocket"))) {
      return "Upgrade is not websocket";
    }
    if (!answer.members("connection").contains("upgrade")) {
      return "Connection is not Upgrade";
    }
    if (!answer.all("sec-websocket-accept").equals(List.of(accept(key)))) {
      return "Sec-WebSocket-Accept does not fit the key";
    }
    if (answer.has("sec-websocket-extensions")) {
      return "an extension that nobody offered";
    }
    if (answer.has("transfer-encoding") || answer.has("content-length")) {
      return "a body where frames begin";
    }
    List<String> chosen = answer.all("sec-websocket-protocol");
    if (chosen.size() > 1 || !protocols.containsAll(chosen)) {
      return "a subprotocol that nobody offered";
    }
    return null;
  }

  /**
   * The fields of the caller's 101.
   *
   * @param protocol the subprotocol that the upstream chose, or null
   */
  Fields forCaller(@Nullable String protocol) {
    Fields fields =
        new Fields()
            .add("Upgrade", "websocket")
            .add("Connection", "Upgrade")
            .add("Sec-WebSocket-Accept", accept(callerKey));
    return protocol == null ? fields : fields.add("Sec-WebSocket-Protocol", protocol);
  }

  static String accept(String key) {
    try {
      // RFC 6455 names SHA-1; it protects nothing here, it only shows that the answer is an answer.
      byte[] digest =
          MessageDigest.getInstance("SHA-1")
              .digest((key + GUID).getBytes(StandardCharsets.US_ASCII));
      return Base64.getEncoder().encodeToString(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void require(boolean right, String otherwise) {
    if (!right) {
      throw new RefusedException(ProblemCode.INVALID_REQUEST, otherwise);
    }
  }
}
