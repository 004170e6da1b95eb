package io.valetkey.broker.policy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A text with places in braces, which each request fills. */
public final class SignatureTemplate {

  /** What a request can put into a place. */
  public enum Place {
    METHOD("method"),
    /** As it is sent. */
    PATH("path"),
    /** As it is sent, without the question mark; empty if there is none. */
    QUERY("query"),
    /** Path, and query with its question mark. */
    TARGET("target"),
    /** The upstream's {@code Host}. */
    HOST("host"),
    TIMESTAMP("timestamp"),
    /** 128 random bits in hex, new for each request. */
    NONCE("nonce"),
    BODY("body"),
    BODY_SHA256_HEX("body-sha256:hex"),
    BODY_SHA256_BASE64("body-sha256:base64"),
    SIGNATURE_HEX("signature:hex"),
    SIGNATURE_BASE64("signature:base64");

    private final String word;

    Place(String word) {
      this.word = word;
    }

    private static @Nullable Place of(String word) {
      return Arrays.stream(values()).filter(p -> p.word.equals(word)).findFirst().orElse(null);
    }
  }

  /** A piece of a template. */
  public sealed interface Part {

    /** What stands there as it is. */
    record Literal(String text) implements Part {}

    /** What the request has there. */
    record Filled(Place place) implements Part {}

    /** A field of the credential. */
    record Field(String name) implements Part {}
  }

  /** What stands for a template that could not be read. */
  static final SignatureTemplate NOTHING = new SignatureTemplate(List.of());

  private static final String FIELD = "field:";
  private static final Pattern FIELD_NAME = Pattern.compile("[A-Za-z0-9_.-]{1,128}");
  private static final int LONGEST = 1024;
  private static final Set<Place> OF_THE_BODY =
      Set.of(Place.BODY, Place.BODY_SHA256_HEX, Place.BODY_SHA256_BASE64);

  private final List<Part> parts;

  private SignatureTemplate(List<Part> parts) {
    this.parts = parts;
  }

  /**
   * Reads a template.
   *
   * @throws IllegalArgumentException with what is wrong, to go on after the field's name
   */
  public static SignatureTemplate parse(String text) {
    if (text.isEmpty() || text.length() > LONGEST) {
      throw new IllegalArgumentException("must have 1 to " + LONGEST + " characters");
    }
    List<Part> parts = new ArrayList<>();
    int start = 0;
    while (start < text.length()) {
      int open = text.indexOf('{', start);
      int end = open < 0 ? text.length() : open;
      if (end > start) {
        parts.add(literal(text.substring(start, end)));
      }
      if (open < 0) {
        break;
      }
      int close = text.indexOf('}', open);
      if (close < 0) {
        throw new IllegalArgumentException("has a brace that is not closed");
      }
      parts.add(place(text.substring(open + 1, close)));
      start = close + 1;
    }
    return new SignatureTemplate(List.copyOf(parts));
  }

  private static Part literal(String text) {
    if (text.indexOf('}') >= 0) {
      throw new IllegalArgumentException("has a closing brace that nothing opened");
    }
    if (!text.chars().allMatch(c -> c == '\n' || (c >= ' ' && c < 0x7f))) {
      throw new IllegalArgumentException("must be printable ASCII and line feeds");
    }
    return new Part.Literal(text);
  }

  private static Part place(String word) {
    if (word.startsWith(FIELD)) {
      String name = word.substring(FIELD.length());
      if (!FIELD_NAME.matcher(name).matches() || name.equals(Signing.SIGNING_KEY)) {
        throw new IllegalArgumentException(
            "must name fields of the secret other than " + Signing.SIGNING_KEY);
      }
      return new Part.Field(name);
    }
    Place place = Place.of(word);
    if (place == null) {
      throw new IllegalArgumentException(
          "has no place for {"
              + word
              + "}; there are {field:name}, "
              + Arrays.stream(Place.values())
                  .map(known -> "{" + known.word + "}")
                  .collect(Collectors.joining(", ")));
    }
    return new Part.Filled(place);
  }

  public List<Part> parts() {
    return parts;
  }

  /** Whether one of these can be filled in. */
  boolean hasAny(Set<Place> places) {
    return parts.stream()
        .anyMatch(part -> part instanceof Part.Filled(Place place) && places.contains(place));
  }

  boolean readsBody() {
    return hasAny(OF_THE_BODY);
  }

  /** The names of the credential's fields in it. */
  List<String> fields() {
    return parts.stream()
        .filter(Part.Field.class::isInstance)
        .map(part -> ((Part.Field) part).name())
        .toList();
  }

  /** What could end a header's line. */
  boolean hasLineFeed() {
    return parts.stream()
        .anyMatch(part -> part instanceof Part.Literal(String text) && text.indexOf('\n') >= 0);
  }
}
