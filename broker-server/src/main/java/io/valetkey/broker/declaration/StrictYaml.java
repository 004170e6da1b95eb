package io.valetkey.broker.declaration;

import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.problem.ProblemCode;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.events.DocumentStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.events.MappingStartEvent;
import org.snakeyaml.engine.v2.events.NodeEvent;
import org.snakeyaml.engine.v2.events.ScalarEvent;
import org.snakeyaml.engine.v2.events.SequenceStartEvent;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.Tag;
import org.snakeyaml.engine.v2.schema.JsonSchema;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads YAML 1.2 that has exactly one meaning, and that JSON could say as well: the JSON schema
 * (YAML 1.2.2 section 10.2), so that only {@code true} and {@code false} are booleans; no anchor,
 * no alias, no tag, no directive, no key twice, every key a text.
 */
final class StrictYaml {

  private static final int MAX_DEPTH = 24;
  private static final int MAX_NUMBER = 100;
  private static final JsonSchema SCHEMA = new JsonSchema();

  private final int maxBytes;

  /** Reads streams of at most so many bytes. */
  StrictYaml(int maxBytes) {
    this.maxBytes = maxBytes;
  }

  /**
   * All documents of a stream; empty ones are left out.
   *
   * @throws InvalidResourceException with {@code content_too_large} or {@code invalid_json}
   */
  List<JsonNode> documents(byte[] stream) {
    if (stream.length > maxBytes) {
      throw refused(ProblemCode.CONTENT_TOO_LARGE, "is larger than " + (maxBytes >> 20) + " MiB");
    }
    LoadSettings settings =
        LoadSettings.builder().setSchema(SCHEMA).setCodePointLimit(maxBytes).build();
    try {
      return new Reading(new Parse(settings).parseString(decode(stream)).iterator()).documents();
    } catch (MarkedYamlEngineException e) {
      throw refused(ProblemCode.INVALID_JSON, "is not valid YAML" + at(e.getProblemMark()));
    } catch (YamlEngineException e) {
      throw refused(ProblemCode.INVALID_JSON, "is not valid YAML");
    }
  }

  private static String decode(byte[] stream) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(stream)).toString();
    } catch (CharacterCodingException e) {
      throw refused(ProblemCode.INVALID_JSON, "is not UTF-8");
    }
  }

  private static final class Reading {

    private final Iterator<Event> events;

    Reading(Iterator<Event> events) {
      this.events = events;
    }

    List<JsonNode> documents() {
      List<JsonNode> documents = new ArrayList<>();
      while (events.hasNext()) {
        Event event = events.next();
        if (event instanceof DocumentStartEvent start) {
          if (start.getSpecVersion().isPresent() || !start.getTags().isEmpty()) {
            throw refused(event, "has a directive");
          }
          JsonNode document = node(events.next(), 1);
          if (!document.isNull()) {
            documents.add(document);
          }
        }
      }
      return documents;
    }

    private JsonNode node(Event event, int depth) {
      if (depth > MAX_DEPTH) {
        throw refused(event, "is too deeply nested");
      }
      if (event.getEventId() == Event.ID.Alias) {
        throw refused(event, "has an alias");
      }
      if (event instanceof NodeEvent node && node.getAnchor().isPresent()) {
        throw refused(event, "has an anchor");
      }
      return switch (event) {
        case ScalarEvent scalar -> value(scalar);
        case SequenceStartEvent list -> {
          requireNoTag(event, list.getTag());
          yield list(depth);
        }
        case MappingStartEvent map -> {
          requireNoTag(event, map.getTag());
          yield object(depth);
        }
        default -> throw refused(event, "is not valid YAML");
      };
    }

    private ArrayNode list(int depth) {
      ArrayNode list = JsonNodeFactory.instance.arrayNode();
      for (Event next = events.next();
          next.getEventId() != Event.ID.SequenceEnd;
          next = events.next()) {
        list.add(node(next, depth + 1));
      }
      return list;
    }

    private ObjectNode object(int depth) {
      ObjectNode object = JsonNodeFactory.instance.objectNode();
      for (Event next = events.next();
          next.getEventId() != Event.ID.MappingEnd;
          next = events.next()) {
        JsonNode key = node(next, depth + 1);
        if (!key.isString()) {
          throw refused(next, "has a key that is not a text: put it in quotation marks");
        }
        JsonNode value = node(events.next(), depth + 1);
        if (object.has(key.stringValue())) {
          throw refused(next, "has the same key twice");
        }
        object.set(key.stringValue(), value);
      }
      return object;
    }

    private static JsonNode value(ScalarEvent scalar) {
      requireNoTag(scalar, scalar.getTag());
      String text = scalar.getValue();
      Tag tag = SCHEMA.getScalarResolver().resolve(text, scalar.isPlain());
      if (tag.equals(Tag.NULL)) {
        return JsonNodeFactory.instance.nullNode();
      }
      if (tag.equals(Tag.BOOL)) {
        return JsonNodeFactory.instance.booleanNode(text.equals("true"));
      }
      if (tag.equals(Tag.INT) || tag.equals(Tag.FLOAT)) {
        return number(scalar, text, tag);
      }
      if (text.indexOf('\0') >= 0 || !StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
        throw refused(scalar, "holds U+0000 or half of a surrogate pair");
      }
      return JsonNodeFactory.instance.stringNode(text);
    }

    private static JsonNode number(ScalarEvent scalar, String text, Tag tag) {
      if (text.length() > MAX_NUMBER) {
        throw refused(scalar, "has a number that is too long");
      }
      try {
        if (tag.equals(Tag.FLOAT)) {
          return JsonNodeFactory.instance.numberNode(new BigDecimal(text));
        }
        BigInteger whole = new BigInteger(text);
        return whole.bitLength() < Integer.SIZE
            ? JsonNodeFactory.instance.numberNode(whole.intValue())
            : JsonNodeFactory.instance.numberNode(whole);
      } catch (NumberFormatException e) {
        throw refused(scalar, "has a number that JSON does not have");
      }
    }

    private static void requireNoTag(Event event, Optional<String> tag) {
      if (tag.isPresent()) {
        throw refused(event, "has a tag");
      }
    }

    private static InvalidResourceException refused(Event event, String detail) {
      return StrictYaml.refused(ProblemCode.INVALID_JSON, detail + at(event.getStartMark()));
    }
  }

  private static String at(Optional<Mark> mark) {
    return mark.map(m -> " at line " + (m.getLine() + 1) + ", column " + (m.getColumn() + 1))
        .orElse("");
  }

  /** Says where, and not what was there: a mistyped document may hold anything. */
  private static InvalidResourceException refused(ProblemCode code, String detail) {
    return new InvalidResourceException(
        code, List.of(new FieldError("", FieldError.INVALID_VALUE, detail)));
  }
}
