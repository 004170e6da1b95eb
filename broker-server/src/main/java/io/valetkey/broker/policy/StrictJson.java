package io.valetkey.broker.policy;

import io.valetkey.broker.problem.ProblemCode;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads JSON (RFC 8259) that has exactly one meaning: UTF-8, one object, no key twice, nothing
 * behind it, no character that PostgreSQL could not keep.
 */
public final class StrictJson {

  /** The largest document in bytes. */
  public static final int MAX_BYTES = 1 << 20;

  private static final int MAX_DEPTH = 24;
  private static final int MAX_ERRORS = 100;

  private final int maxBytes;
  private final JsonMapper mapper;

  /** Makes a reader of documents of at most {@link #MAX_BYTES}. */
  public StrictJson() {
    this(MAX_BYTES);
  }

  /** Makes a reader of documents of at most so many bytes. */
  public StrictJson(int maxBytes) {
    this.maxBytes = maxBytes;
    this.mapper =
        JsonMapper.builder(
                JsonFactory.builder()
                    .streamReadConstraints(
                        StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_DEPTH)
                            .maxNumberLength(100)
                            .maxNameLength(1024)
                            .maxDocumentLength(maxBytes)
                            .build())
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .build();
  }

  /**
   * Reads one object.
   *
   * @throws InvalidResourceException with {@code content_too_large} or {@code invalid_json}
   */
  public ObjectNode object(byte[] document) {
    if (document.length > maxBytes) {
      throw refused(
          ProblemCode.CONTENT_TOO_LARGE, "", "is larger than " + (maxBytes >> 20) + " MiB");
    }
    String text = decode(document);
    try {
      List<FieldError> errors = scan(text);
      if (!errors.isEmpty()) {
        throw new InvalidResourceException(ProblemCode.INVALID_JSON, errors);
      }
      JsonNode root = mapper.readTree(text);
      if (root instanceof ObjectNode object) {
        return object;
      }
    } catch (JacksonException e) {
      throw syntax(e);
    }
    throw refused(ProblemCode.INVALID_JSON, "", "must be a JSON object");
  }

  /** Reads an object that this server wrote itself. */
  ObjectNode stored(String text) {
    return (ObjectNode) mapper.readTree(text);
  }

  /** Writes a node. */
  public String write(JsonNode node) {
    return mapper.writeValueAsString(node);
  }

  /** An empty object. */
  public ObjectNode empty() {
    return mapper.createObjectNode();
  }

  private static String decode(byte[] document) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(document)).toString();
    } catch (CharacterCodingException e) {
      throw refused(ProblemCode.INVALID_JSON, "", "is not UTF-8");
    }
  }

  /** Walks over the tokens once, because a tree no longer shows what was written twice. */
  private List<FieldError> scan(String text) {
    List<FieldError> errors = new ArrayList<>();
    Deque<Set<String>> keys = new ArrayDeque<>();
    try (JsonParser parser = mapper.createParser(text)) {
      for (JsonToken token = parser.nextToken();
          token != null && errors.size() < MAX_ERRORS;
          token = parser.nextToken()) {
        switch (token) {
          case START_OBJECT -> keys.push(new HashSet<>());
          case END_OBJECT -> keys.pop();
          case PROPERTY_NAME -> {
            if (!keys.element().add(parser.currentName())) {
              errors.add(error(parser, FieldError.DUPLICATE_KEY, "is written twice"));
            }
            checkCharacters(parser, errors);
          }
          case VALUE_STRING -> checkCharacters(parser, errors);
          default -> {}
        }
      }
    }
    return errors;
  }

  private static void checkCharacters(JsonParser parser, List<FieldError> errors) {
    String text = parser.getString();
    if (text.indexOf('\0') >= 0 || !StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      errors.add(
          error(parser, FieldError.INVALID_VALUE, "holds U+0000 or half of a surrogate pair"));
    }
  }

  private static FieldError error(JsonParser parser, String code, String detail) {
    return new FieldError(parser.streamReadContext().pathAsPointer().toString(), code, detail);
  }

  /** Says where, and not what was there: a mistyped document may hold anything. */
  private static InvalidResourceException syntax(JacksonException e) {
    var location = e.getLocation();
    String detail =
        location == null || location.getLineNr() < 1
            ? "is not valid JSON"
            : "is not valid JSON, or too deeply nested, at line %d, column %d"
                .formatted(location.getLineNr(), location.getColumnNr());
    return refused(ProblemCode.INVALID_JSON, "", detail);
  }

  private static InvalidResourceException refused(ProblemCode code, String pointer, String detail) {
    return new InvalidResourceException(
        code, List.of(new FieldError(pointer, FieldError.INVALID_VALUE, detail)));
  }
}
