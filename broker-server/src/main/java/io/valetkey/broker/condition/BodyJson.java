package io.valetkey.broker.condition;

import dev.cel.common.values.NullValue;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads JSON that every reader understands alike. Beyond what RFC 7493 demands, no object has two
 * keys that differ by case alone, because there are readers that do not tell them apart.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc7493">RFC 7493</a>
 */
final class BodyJson {

  private static final int MAX_DEPTH = 32;
  private static final int MAX_DIGITS = 17; // as many as make a double
  private static final BigInteger LARGEST = BigInteger.ONE.shiftLeft(53).subtract(BigInteger.ONE);

  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxNumberLength(64)
                  .maxNameLength(1024)
                  .build())
          .build();

  /** Why it has no one reading is nothing that anybody is told. */
  private static final class TwoReadingsException extends Exception {
    private static final long serialVersionUID = 1L;
  }

  private BodyJson() {}

  /**
   * Reads a document.
   *
   * @return maps by texts, lists, texts, {@code Long}, {@code Double}, {@code Boolean} and {@link
   *     NullValue}; null if it is not JSON or has no one reading
   */
  static @Nullable Object read(byte[] document) {
    try {
      String text =
          StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(document)).toString();
      if (text.startsWith("\uFEFF")) {
        return null;
      }
      try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), text)) {
        JsonToken first = parser.nextToken();
        Object value = first == null ? null : value(parser, first);
        return parser.nextToken() == null ? value : null;
      }
    } catch (CharacterCodingException | JacksonException | TwoReadingsException e) {
      return null;
    }
  }

  private static Object value(JsonParser parser, JsonToken token) throws TwoReadingsException {
    return switch (token) {
      case START_OBJECT -> object(parser);
      case START_ARRAY -> array(parser);
      case VALUE_STRING -> checked(parser.getString());
      case VALUE_NUMBER_INT -> whole(parser.getBigIntegerValue());
      case VALUE_NUMBER_FLOAT -> fraction(parser.getDecimalValue());
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NULL -> NullValue.NULL_VALUE;
      default -> throw new TwoReadingsException();
    };
  }

  private static Map<String, Object> object(JsonParser parser) throws TwoReadingsException {
    Map<String, Object> object = new HashMap<>();
    Set<String> folded = new HashSet<>();
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      String key = checked(parser.currentName());
      if (!folded.add(fold(key))) {
        throw new TwoReadingsException();
      }
      object.put(key, value(parser, parser.nextToken()));
    }
    return object;
  }

  private static List<Object> array(JsonParser parser) throws TwoReadingsException {
    List<Object> array = new ArrayList<>();
    for (JsonToken next = parser.nextToken();
        next != JsonToken.END_ARRAY;
        next = parser.nextToken()) {
      array.add(value(parser, next));
    }
    return array;
  }

  /** Upper case first: some letters have an upper case in common and no lower case. */
  private static String fold(String key) {
    return key.toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT);
  }

  private static String checked(String text) throws TwoReadingsException {
    if (text.indexOf('\0') >= 0 || !StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw new TwoReadingsException();
    }
    return text;
  }

  private static Long whole(BigInteger number) throws TwoReadingsException {
    if (number.abs().compareTo(LARGEST) > 0) {
      throw new TwoReadingsException();
    }
    return number.longValue();
  }

  private static Double fraction(BigDecimal number) throws TwoReadingsException {
    double value = number.doubleValue();
    boolean lost = number.stripTrailingZeros().precision() > MAX_DIGITS;
    if (lost || Double.isInfinite(value) || (value == 0 && number.signum() != 0)) {
      throw new TwoReadingsException();
    }
    return value;
  }
}
