package io.valetkey.broker.approval;

import io.valetkey.broker.crypto.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Everything of a request that somebody who approves it has to know: what is shown is what is
 * hashed, and what is hashed is what is sent. Two requests have one hash only if they are the same.
 */
public final class ShownRequest {

  /** Fields that change from one attempt to the next and say nothing about what is asked for. */
  static final Set<String> PASSED_OVER =
      Set.of(
          "user-agent",
          "date",
          "x-stainless-retry-count",
          "amz-sdk-invocation-id",
          "amz-sdk-request");

  private static final String FORM = "valetkey.approval/1";

  /**
   * One field line.
   *
   * @param name in lower case
   * @param value as it came
   */
  public record Field(String name, String value) {}

  private final String destination;
  private final String method;
  private final String url;
  private final List<Field> fields;
  private final byte @Nullable [] body;
  private final byte[] hash;

  /**
   * Takes a request in.
   *
   * @param destination the name of the destination
   * @param method the method
   * @param origin where it goes, with the port
   * @param pathAndQuery exactly as they are sent
   * @param sent the fields of the caller that are sent, by lower-case name
   * @param body the body, or null if there is none; not copied
   */
  public ShownRequest(
      String destination,
      String method,
      String origin,
      String pathAndQuery,
      Map<String, List<String>> sent,
      byte @Nullable [] body) {
    this.destination = destination;
    this.method = method;
    this.url = origin + pathAndQuery;
    this.fields = sorted(sent);
    this.body = body;
    this.hash = hash(origin, pathAndQuery);
  }

  private static List<Field> sorted(Map<String, List<String>> sent) {
    List<Field> fields = new ArrayList<>();
    new TreeMap<>(sent)
        .forEach((name, values) -> {
          if (!PASSED_OVER.contains(name)) {
            values.forEach(value -> fields.add(new Field(name, value)));
          }
        });
    return List.copyOf(fields);
  }

  /** Every part with its length before it, so that none can run into the next one. */
  private byte[] hash(String origin, String pathAndQuery) {
    MessageDigest digest = Sha256.digest();
    add(digest, FORM);
    add(digest, destination);
    add(digest, method);
    add(digest, origin);
    add(digest, pathAndQuery);
    number(digest, fields.size());
    for (Field field : fields) {
      add(digest, field.name());
      add(digest, field.value());
    }
    byte[] known = body;
    number(digest, known == null ? 0 : 1);
    if (known != null) {
      add(digest, known);
    }
    return digest.digest();
  }

  private static void add(MessageDigest digest, String text) {
    add(digest, text.getBytes(StandardCharsets.UTF_8));
  }

  private static void add(MessageDigest digest, byte[] bytes) {
    number(digest, bytes.length);
    digest.update(bytes);
  }

  private static void number(MessageDigest digest, long number) {
    digest.update(ByteBuffer.allocate(Long.BYTES).putLong(number).flip());
  }

  /** The name of the destination. */
  public String destination() {
    return destination;
  }

  /** The method. */
  public String method() {
    return method;
  }

  /** Where it goes: the origin with its port, the path and the query. */
  public String url() {
    return url;
  }

  /** The fields that count, by name; those of one name in their order. */
  public List<Field> fields() {
    return fields;
  }

  /** What the body is said to be, or null. */
  public @Nullable String contentType() {
    return fields.stream()
        .filter(field -> field.name().equals("content-type"))
        .map(Field::value)
        .findFirst()
        .orElse(null);
  }

  /** The body; empty if there is none. */
  byte[] body() {
    byte[] known = body;
    return known == null ? new byte[0] : known;
  }

  /** The SHA-256 of all of it. */
  byte[] hash() {
    return hash.clone();
  }

  /** The same in lower-case hexadecimal digits. */
  public String hashText() {
    return HexFormat.of().formatHex(hash);
  }
}
