package io.valetkey.client;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A strict reader of one JSON object (RFC 8259): no duplicate names, no trailing content, UTF-8
 * only, nesting bounded. Whoever would read the same text differently must not exist.
 */
final class Json {
  private static final int MAX_DEPTH = 16;

  /** Text that is not the JSON we accept. The message never quotes it. */
  static final class MalformedException extends Exception {
    MalformedException(String message) {
      super(message);
    }
  }

  /** Stands for null, true and false, which no answer that we read has a use for. */
  enum Literal {
    NULL,
    TRUE,
    FALSE
  }

  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /** Values are String, Long (integers below 10^18), Double, Literal, List or Map. */
  static Map<String, Object> object(byte[] utf8) throws MalformedException {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
    } catch (CharacterCodingException e) {
      throw new MalformedException("not UTF-8");
    }
    Json json = new Json(text);
    json.space();
    Map<String, Object> object = json.members(0);
    json.space();
    if (json.at != text.length()) {
      throw json.malformed("content after the object");
    }
    return object;
  }

  private Map<String, Object> members(int depth) throws MalformedException {
    expect('{');
    Map<String, Object> members = new LinkedHashMap<>();
    space();
    if (take('}')) {
      return members;
    }
    do {
      space();
      String name = string();
      space();
      expect(':');
      if (members.putIfAbsent(name, value(depth)) != null) {
        throw malformed("a name twice in one object");
      }
      space();
    } while (take(','));
    expect('}');
    return members;
  }

  private List<Object> elements(int depth) throws MalformedException {
    expect('[');
    List<Object> elements = new ArrayList<>();
    space();
    if (take(']')) {
      return elements;
    }
    do {
      elements.add(value(depth));
      space();
    } while (take(','));
    expect(']');
    return elements;
  }

  private Object value(int depth) throws MalformedException {
    if (depth >= MAX_DEPTH) {
      throw malformed("nested too deeply");
    }
    space();
    char c = peek();
    if (c == '{') {
      return members(depth + 1);
    } else if (c == '[') {
      return elements(depth + 1);
    } else if (c == '"') {
      return string();
    } else if (c == '-' || isDigit(c)) {
      return number();
    }
    for (Literal literal : Literal.values()) {
      String word = literal.name().toLowerCase(Locale.ROOT);
      if (text.startsWith(word, at)) {
        at += word.length();
        return literal;
      }
    }
    throw malformed("no value");
  }

  private String string() throws MalformedException {
    expect('"');
    StringBuilder out = new StringBuilder();
    while (true) {
      char c = next();
      if (c == '"') {
        return out.toString();
      } else if (c < ' ') {
        throw malformed("a control character in a string");
      }
      out.append(c == '\\' ? escaped() : c);
    }
  }

  private char escaped() throws MalformedException {
    char c = next();
    int known = "\"\\/bfnrt".indexOf(c);
    if (known >= 0) {
      return "\"\\/\b\f\n\r\t".charAt(known);
    } else if (c != 'u') {
      throw malformed("an unknown escape");
    }
    int code = 0;
    for (int i = 0; i < 4; i++) {
      char hex = next();
      int digit = hex < 128 ? Character.digit(hex, 16) : -1;
      if (digit < 0) {
        throw malformed("a bad escape");
      }
      code = code * 16 + digit;
    }
    return (char) code;
  }

  private Object number() throws MalformedException {
    int start = at;
    take('-');
    if (!take('0')) {
      digits();
    } else if (at < text.length() && isDigit(peek())) {
      throw malformed("a leading zero");
    }
    boolean whole = true;
    if (take('.')) {
      whole = false;
      digits();
    }
    if (take('e') || take('E')) {
      whole = false;
      if (!take('+')) {
        take('-');
      }
      digits();
    }
    String digits = text.substring(start, at);
    if (whole && digits.length() <= 18) {
      return Long.valueOf(digits);
    }
    return Double.valueOf(digits);
  }

  private void digits() throws MalformedException {
    int start = at;
    while (at < text.length() && isDigit(text.charAt(at))) {
      at++;
    }
    if (at == start) {
      throw malformed("a number without digits");
    }
  }

  private void space() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private boolean take(char c) {
    if (at < text.length() && text.charAt(at) == c) {
      at++;
      return true;
    }
    return false;
  }

  private void expect(char c) throws MalformedException {
    if (!take(c)) {
      throw malformed("'" + c + "' missing");
    }
  }

  private char peek() throws MalformedException {
    if (at >= text.length()) {
      throw malformed("cut off");
    }
    return text.charAt(at);
  }

  private char next() throws MalformedException {
    char c = peek();
    at++;
    return c;
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  private MalformedException malformed(String what) {
    return new MalformedException(what + " at character " + at);
  }
}
