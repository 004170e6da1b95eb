package io.valetkey.broker.gateway;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.async.ByteArrayFeeder;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads how many model tokens an answer says that it has cost, beside its way to the caller: the
 * object {@code usage} as OpenAI and Anthropic write it, in a JSON document or in the events of a
 * stream. It stands in the document itself, in {@code response} or in {@code message}; what looks
 * like it anywhere else is somebody's text. Keeps no more than a few hundred bytes and a parser.
 */
final class UsageReader {

  /** More than this in one answer is no number of tokens. */
  private static final long MOST = 1_000_000_000L;

  private static final int DEEPEST = 200;
  private static final int LOOKED_AT = 3;

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(DEEPEST)
                  .maxNumberLength(100)
                  .maxDocumentLength(-1)
                  .build())
          .build();

  private static final byte[] DATA = {'d', 'a', 't', 'a', ':'};
  private static final byte[] NEW_LINE = {'\n'};

  private enum Form {
    DOCUMENT,
    EVENTS,
    UNKNOWN
  }

  // The numbers that are looked for, by their places.
  private static final int PROMPT = 0;
  private static final int COMPLETION = 1;
  private static final int TOTAL = 2;
  private static final int INPUT = 3;
  private static final int OUTPUT = 4;
  private static final int CACHE_WRITTEN = 5;
  private static final int CACHE_READ = 6;
  private static final int NONE = -1;

  private static int place(@Nullable String name) {
    return switch (name) {
      case "prompt_tokens" -> PROMPT;
      case "completion_tokens" -> COMPLETION;
      case "total_tokens" -> TOTAL;
      case "input_tokens" -> INPUT;
      case "output_tokens" -> OUTPUT;
      case "cache_creation_input_tokens" -> CACHE_WRITTEN;
      case "cache_read_input_tokens" -> CACHE_READ;
      case null, default -> NONE;
    };
  }

  private final Form form;
  private final ShortStrings shortened = new ShortStrings();
  private final JsonParser parser;
  private final ByteArrayFeeder feeder;
  private final long[] counts = new long[CACHE_READ + 1];
  private final @Nullable String[] names = new @Nullable String[LOOKED_AT + 1];
  private int depth;
  private int usageDepth;
  private boolean counted;
  private boolean isLast;
  private boolean broken;
  private byte[] room = new byte[0];
  private int matched;
  private boolean skipping;
  private boolean begun;
  private boolean afterReturn;

  private UsageReader(Form form) {
    this.form = form;
    this.parser = JSON.createNonBlockingByteArrayParser(ObjectReadContext.empty());
    this.feeder = (ByteArrayFeeder) parser.nonBlockingInputFeeder();
  }

  /** A reader for an answer of this type; of a type that is not known it reads nothing. */
  static UsageReader of(@Nullable String contentType) {
    String type = contentType == null ? "" : contentType.toLowerCase(Locale.ROOT);
    int end = type.indexOf(';');
    type = (end < 0 ? type : type.substring(0, end)).strip();
    if (type.equals("text/event-stream")) {
      return new UsageReader(Form.EVENTS);
    }
    boolean json = type.equals("application/json") || type.endsWith("+json");
    return new UsageReader(json ? Form.DOCUMENT : Form.UNKNOWN);
  }

  /** Reads on. The bytes are not changed and not kept. */
  void feed(byte[] piece) {
    switch (form) {
      case DOCUMENT -> parse(piece, 0, piece.length);
      case EVENTS -> events(piece);
      case UNKNOWN -> {}
    }
  }

  /** What the answer has said so far; of several statements about the same the largest. */
  long tokens() {
    long input = counts[INPUT] + counts[CACHE_WRITTEN] + counts[CACHE_READ];
    long sum = Math.max(counts[PROMPT], input) + Math.max(counts[COMPLETION], counts[OUTPUT]);
    return Math.max(counts[TOTAL], sum);
  }

  /**
   * Whether that is the whole cost, if nothing follows: a stream of events says only what it begins
   * with before it says what it has cost.
   */
  boolean isFinal() {
    return isLast && !broken && depth == 0;
  }

  /** Lines of {@code data}, the others do not matter (HTML standard, section 9.2.6). */
  private void events(byte[] piece) {
    int from = 0;
    for (int i = 0; i < piece.length; i++) {
      byte b = piece[i];
      boolean secondHalf = b == '\n' && afterReturn;
      afterReturn = b == '\r';
      if (b == '\n' || b == '\r') {
        if (!secondHalf) {
          endOfLine(piece, from, i);
        }
        from = i + 1;
      } else if (matched < DATA.length) {
        skipping |= b != DATA[matched++];
        from = i + 1;
      } else if (!begun && !skipping) {
        begun = true;
        if (b == ' ') {
          from = i + 1;
          begun = false;
          continue;
        }
        // Other events are words, such as the one that ends a stream.
        skipping = depth == 0 && b != '{';
      }
    }
    if (isData()) {
      parse(piece, from, piece.length);
    }
  }

  private boolean isData() {
    return matched >= DATA.length && begun && !skipping;
  }

  private void endOfLine(byte[] piece, int from, int to) {
    if (matched == 0) {
      // An empty line ends the event, and what it has to be is whole.
      broken |= depth > 0;
    } else if (isData()) {
      parse(piece, from, to);
      parse(NEW_LINE, 0, 1);
    }
    matched = 0;
    skipping = false;
    begun = false;
  }

  private void parse(byte[] piece, int from, int to) {
    if (broken || from >= to) {
      return;
    }
    if (room.length < to - from) {
      room = new byte[to - from];
    }
    int length = shortened.shorten(piece, from, to, room);
    try {
      feeder.feedInput(room, 0, length);
      JsonToken token = parser.nextToken();
      while (token != null && token != JsonToken.NOT_AVAILABLE) {
        take(token);
        token = parser.nextToken();
      }
    } catch (JacksonException e) {
      broken = true;
    }
  }

  private void take(JsonToken token) {
    switch (token) {
      case START_OBJECT, START_ARRAY -> open(token == JsonToken.START_OBJECT);
      case END_OBJECT, END_ARRAY -> close();
      case PROPERTY_NAME -> {
        if (depth <= LOOKED_AT) {
          names[depth] = parser.currentName();
        }
      }
      default -> value(token);
    }
  }

  private void open(boolean object) {
    if (isInUsage()) {
      // A number should stand here.
      broken |= place(names[depth]) != NONE;
    } else if (object && isUsage()) {
      usageDepth = depth + 1;
      counted = false;
    }
    depth++;
    if (depth <= LOOKED_AT) {
      names[depth] = null;
    }
  }

  private boolean isInUsage() {
    return usageDepth > 0 && depth == usageDepth;
  }

  private boolean isUsage() {
    return switch (depth) {
      case 1 -> "usage".equals(names[1]);
      case 2 -> "usage".equals(names[2]) && ("message".equals(names[1]) || isResponse());
      default -> false;
    };
  }

  private boolean isResponse() {
    return "response".equals(names[1]);
  }

  private void close() {
    if (isInUsage()) {
      isLast |= counted && (depth == 2 || isResponse());
      usageDepth = 0;
    }
    depth--;
  }

  private void value(JsonToken token) {
    int place = isInUsage() ? place(names[depth]) : NONE;
    if (place == NONE || broken || token == JsonToken.VALUE_NULL) {
      return;
    }
    long value = token == JsonToken.VALUE_NUMBER_INT ? number() : -1;
    if (value < 0 || value > MOST) {
      broken = true;
      return;
    }
    counted = true;
    counts[place] = Math.max(counts[place], value);
  }

  private long number() {
    return switch (parser.getNumberType()) {
      case INT, LONG -> parser.getLongValue();
      default -> -1;
    };
  }
}
