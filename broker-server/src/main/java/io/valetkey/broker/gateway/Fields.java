package io.valetkey.broker.gateway;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Header fields in the order in which they came; names compare without case (RFC 9110 section 5).
 */
final class Fields {

  /** One field line. */
  record Field(String name, String value) {

    /** The name in lower case. */
    String key() {
      return name.toLowerCase(Locale.ROOT);
    }
  }

  private final List<Field> fields = new ArrayList<>();

  Fields add(String name, String value) {
    fields.add(new Field(name, value));
    return this;
  }

  /** Every field line, in order. */
  List<Field> list() {
    return List.copyOf(fields);
  }

  /** The values of all lines with this name. */
  List<String> all(String name) {
    return fields.stream().filter(f -> f.name().equalsIgnoreCase(name)).map(Field::value).toList();
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

  /** Removes all lines whose lower-case name is meant. */
  void removeIf(Predicate<String> key) {
    fields.removeIf(field -> key.test(field.key()));
  }

  /** The comma-separated members of all lines with this name, in lower case. */
  List<String> members(String name) {
    List<String> members = new ArrayList<>();
    for (String value : all(name)) {
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
