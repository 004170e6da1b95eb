package io.valetkey.broker.gateway;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Header fields in the order in which they came; names compare without case (RFC 9110 section 5).
 */
final class Fields {

  /**
   * One field line.
   *
   * @param name as it came
   * @param value as it came
   * @param key the name in lower case
   */
  record Field(String name, String value, String key) {

    Field(String name, String value) {
      this(name, value, name.toLowerCase(Locale.ROOT));
    }
  }

  private final List<Field> fields = new ArrayList<>();

  Fields add(String name, String value) {
    fields.add(new Field(name, value));
    return this;
  }

  /** Every field line, in order. */
  List<Field> list() {
    return Collections.unmodifiableList(fields);
  }

  /** The values of all lines with this name. */
  List<String> all(String name) {
    List<String> values = List.of();
    for (Field field : fields) {
      if (field.name().equalsIgnoreCase(name)) {
        if (values.isEmpty()) {
          values = new ArrayList<>(1);
        }
        values.add(field.value());
      }
    }
    return values;
  }

  /** The value of the first line with this name. */
  @Nullable String first(String name) {
    for (Field field : fields) {
      if (field.name().equalsIgnoreCase(name)) {
        return field.value();
      }
    }
    return null;
  }

  boolean has(String name) {
    return first(name) != null;
  }

  /** Whether a body follows that is not known to be empty (RFC 9112 section 6.3). */
  boolean announceBody() {
    String length = first("content-length");
    return has("transfer-encoding") || (length != null && !length.chars().allMatch(c -> c == '0'));
  }

  /** The same without the lines whose lower-case name is meant. */
  Fields without(Predicate<String> key) {
    Fields kept = new Fields();
    for (Field field : fields) {
      if (!key.test(field.key())) {
        kept.fields.add(field);
      }
    }
    return kept;
  }

  /** The values by lower-case name, each name's in order. */
  Map<String, List<String>> byName() {
    Map<String, List<String>> values = new HashMap<>();
    for (Field field : fields) {
      values.computeIfAbsent(field.key(), key -> new ArrayList<>(1)).add(field.value());
    }
    return values;
  }

  /** The comma-separated members of all lines with this name, in lower case. */
  List<String> members(String name) {
    List<String> values = all(name);
    if (values.isEmpty()) {
      return values;
    }
    List<String> members = new ArrayList<>();
    for (String value : values) {
      for (String member : value.split(",", -1)) {
        String trimmed = member.strip().toLowerCase(Locale.ROOT);
        if (!trimmed.isEmpty()) {
          members.add(trimmed);
        }
      }
    }
    return members;
  }
}
