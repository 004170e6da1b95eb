package io.valetkey.broker.policy;

import io.valetkey.broker.policy.DestinationSpec.ByteSize;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The fields of one JSON object, read by name and type. Nothing is converted: what has another type
 * is an error, and so is what nobody asked for by {@link #end}. After an error a reader returns a
 * stand-in, so that all errors of a document are found in one go; whoever reads must look at the
 * errors before using anything.
 */
public final class JsonFields {

  private static final Set<String> SET_BY_SERVER =
      Set.of("name", "createdAt", "updatedAt", "managedBy");

  private final ObjectNode node;
  private final String pointer;
  private final List<FieldError> errors;
  private final Set<String> asked = new HashSet<>();

  JsonFields(ObjectNode node, String pointer, List<FieldError> errors) {
    this.node = node;
    this.pointer = pointer;
    this.errors = errors;
  }

  /**
   * Reads a whole document.
   *
   * @throws InvalidResourceException naming everything that is wrong with its fields
   */
  public static <T> T read(ObjectNode document, Function<JsonFields, T> reader) {
    List<FieldError> errors = new ArrayList<>();
    JsonFields fields = new JsonFields(document, "", errors);
    T result = reader.apply(fields);
    fields.end();
    if (!errors.isEmpty()) {
      throw InvalidResourceException.of(errors);
    }
    return result;
  }

  /** A string, or null if there is none. */
  public @Nullable String text(String name) {
    return read(name, "a string", JsonNode::isString, JsonNode::stringValue);
  }

  /** A string that must be there; it may be empty. */
  public String requiredText(String name) {
    return required(name, text(name), "");
  }

  /** A boolean, or null if there is none. */
  public @Nullable Boolean flag(String name) {
    return read(name, "true or false", JsonNode::isBoolean, JsonNode::booleanValue);
  }

  /** A whole number, or null if there is none. */
  public @Nullable Integer integer(String name) {
    return read(
        name,
        "a whole number below 2147483648",
        value -> value.isIntegralNumber() && value.canConvertToInt(),
        JsonNode::intValue);
  }

  @Nullable Duration duration(String name) {
    return parsed(name, "must be a duration such as 30s, 5m or 1h", Literals::duration);
  }

  @Nullable ByteSize size(String name) {
    return parsed(name, "must be a size such as 512KiB or 10MiB", Literals::byteSize);
  }

  /** A time in UTC, or null if there is none. */
  public @Nullable Instant time(String name) {
    return parsed(name, "must be a time in UTC such as 2027-03-01T00:00:00Z", Literals::instant);
  }

  <E extends Enum<E>> @Nullable E choice(String name, Class<E> type) {
    E[] all = type.getEnumConstants();
    String words = Arrays.stream(all).map(JsonFields::word).collect(Collectors.joining(", "));
    return parsed(
        name,
        "must be one of: " + words,
        text -> Arrays.stream(all).filter(e -> word(e).equals(text)).findFirst().orElse(null));
  }

  <E extends Enum<E>> E requiredChoice(String name, Class<E> type) {
    return required(name, choice(name, type), type.getEnumConstants()[0]);
  }

  @Nullable List<String> texts(String name) {
    JsonNode array = value(name, "a list of strings", JsonNode::isArray);
    if (array == null) {
      return null;
    }
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      if (array.get(i).isString()) {
        texts.add(array.get(i).stringValue());
      } else {
        error(name + "/" + i, FieldError.WRONG_TYPE, "must be a string");
      }
    }
    return texts;
  }

  List<String> requiredTexts(String name) {
    return required(name, texts(name), List.of());
  }

  /** An object of strings, or null if there is none. */
  public @Nullable Map<String, String> textMap(String name) {
    JsonNode object = value(name, "an object of strings", JsonNode::isObject);
    if (object == null) {
      return null;
    }
    Map<String, String> map = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : object.properties()) {
      if (entry.getValue().isString()) {
        map.put(entry.getKey(), entry.getValue().stringValue());
      } else {
        errors.add(
            new FieldError(
                FieldError.join(pointer + "/" + name, entry.getKey()),
                FieldError.WRONG_TYPE,
                "must be a string"));
      }
    }
    return map;
  }

  /** An object whose values all have the type that the reader takes; it gives null for others. */
  <T> @Nullable Map<String, T> map(
      String name, String type, Function<JsonNode, @Nullable T> reader) {
    ObjectNode object = object(name);
    if (object == null) {
      return null;
    }
    Map<String, T> map = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : object.properties()) {
      T value = reader.apply(entry.getValue());
      if (value == null) {
        String at = FieldError.join(pointer + "/" + name, entry.getKey());
        errors.add(new FieldError(at, FieldError.WRONG_TYPE, "must be " + type));
      } else {
        map.put(entry.getKey(), value);
      }
    }
    return map;
  }

  /** Any value, or null if there is none. */
  public @Nullable JsonNode json(String name) {
    return value(name, "a value", node -> true);
  }

  @Nullable ObjectNode object(String name) {
    return (ObjectNode) value(name, "an object", JsonNode::isObject);
  }

  /** Reads an object field with its own reader, and checks that nothing else is in it. */
  public <T> @Nullable T nested(String name, Function<JsonFields, T> reader) {
    ObjectNode object = object(name);
    return object == null ? null : read(object, pointer + "/" + name, reader);
  }

  <T> List<T> requiredList(String name, Function<JsonFields, T> reader) {
    return required(name, list(name, reader), new ArrayList<>());
  }

  <T> @Nullable List<T> list(String name, Function<JsonFields, T> reader) {
    JsonNode array = value(name, "a list of objects", JsonNode::isArray);
    if (array == null) {
      return null;
    }
    List<T> list = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      if (array.get(i) instanceof ObjectNode object) {
        list.add(read(object, pointer + "/" + name + "/" + i, reader));
      } else {
        error(name + "/" + i, FieldError.WRONG_TYPE, "must be an object");
      }
    }
    return list;
  }

  /** Notes an error at a field of this object. */
  public void error(String name, String code, String detail) {
    errors.add(new FieldError(pointer + "/" + name, code, detail));
  }

  /** Notes that the value of a required text is not allowed; a missing one was noted before. */
  void errorUnlessMissing(String name, String detail) {
    JsonNode written = node.get(name);
    if (written != null && written.isString()) {
      error(name, FieldError.INVALID_VALUE, detail);
    }
  }

  /** Accepts whatever else is in this object, because an error was found that explains it. */
  void ignoreRest() {
    asked.addAll(node.propertyNames());
  }

  /** Reports every field that was not asked for. */
  void end() {
    for (String name : node.propertyNames()) {
      if (!asked.contains(name)) {
        boolean readOnly = pointer.isEmpty() && SET_BY_SERVER.contains(name);
        errors.add(
            new FieldError(
                FieldError.join(pointer, name),
                FieldError.UNKNOWN_FIELD,
                readOnly ? "is set by the server: leave it out" : "is not a field of this object"));
      }
    }
  }

  private <T> T read(ObjectNode object, String at, Function<JsonFields, T> reader) {
    JsonFields fields = new JsonFields(object, at, errors);
    T result = reader.apply(fields);
    fields.end();
    return result;
  }

  /** The value of a field that must be there, or after noting the error the stand-in. */
  public <T> T required(String name, @Nullable T value, T standIn) {
    if (value != null) {
      return value;
    }
    JsonNode written = node.get(name);
    if (written == null || written.isNull()) {
      error(name, FieldError.REQUIRED, "is required");
    }
    return standIn;
  }

  private @Nullable JsonNode value(String name, String type, Predicate<JsonNode> fits) {
    asked.add(name);
    JsonNode value = node.get(name);
    if (value == null || value.isNull()) {
      return null;
    }
    if (!fits.test(value)) {
      error(name, FieldError.WRONG_TYPE, "must be " + type);
      return null;
    }
    return value;
  }

  private <T> @Nullable T read(
      String name, String type, Predicate<JsonNode> fits, Function<JsonNode, T> reader) {
    JsonNode value = value(name, type, fits);
    return value == null ? null : reader.apply(value);
  }

  private <T> @Nullable T parsed(String name, String rule, Function<String, @Nullable T> parser) {
    String text = text(name);
    if (text == null) {
      return null;
    }
    T result = parser.apply(text);
    if (result == null) {
      error(name, FieldError.INVALID_VALUE, rule);
    }
    return result;
  }

  private static String word(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }
}
