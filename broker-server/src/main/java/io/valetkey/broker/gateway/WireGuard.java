package io.valetkey.broker.gateway;

import java.util.EnumSet;
import java.util.Set;

/**
 * Reads the bytes of an HTTP/1.1 connection and refuses what a parser would repair before anybody
 * could see it: folded header lines, bare line ends, a TAB in the request line, spaces around a
 * name, control characters, two framings of one body, anything but plain chunks. It follows the
 * framing only to know where the next header section begins.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9112#section-11.2">RFC 9112 section 11.2</a>
 */
final class WireGuard {

  private enum State {
    METHOD,
    TARGET,
    VERSION,
    LINE_START,
    NAME,
    VALUE,
    BODY,
    CHUNK_SIZE,
    CHUNK,
    CHUNK_END
  }

  private static final Set<State> HEAD =
      EnumSet.of(
          State.METHOD, State.TARGET, State.VERSION, State.LINE_START, State.NAME, State.VALUE);
  private static final String VERSION = "HTTP/1.1";
  private static final int LONGEST_KNOWN = 32;
  private static final long LARGEST_BODY = 1L << 53;

  private State state = State.METHOD;
  private final StringBuilder name = new StringBuilder();
  private final StringBuilder value = new StringBuilder();
  private boolean carriageReturn;
  private boolean inTrailers;
  private boolean begun;
  private long length;
  private boolean lengthGiven;
  private boolean chunked;
  private int digits;

  /** Whether a header section has begun and is not complete yet. */
  boolean isInHead() {
    return begun && !inTrailers && HEAD.contains(state);
  }

  /** Whether a request is complete and not a byte of another one has come. */
  boolean isBetweenRequests() {
    return state == State.METHOD && !begun;
  }

  /** How many of the next bytes are body and need not be read one by one. */
  long skippable() {
    return state == State.BODY || state == State.CHUNK ? length : 0;
  }

  /** Passes over body bytes, at most {@link #skippable()}. */
  void skip(long count) {
    length -= count;
    if (length == 0) {
      if (state == State.CHUNK) {
        state = State.CHUNK_END;
      } else {
        nextRequest();
      }
    }
  }

  /** Reads one byte; false if the connection must be refused. */
  boolean accept(byte b) {
    int c = b & 0xff;
    begun = true;
    if (carriageReturn) {
      carriageReturn = false;
      return c == '\n' && endLine();
    }
    if (c == '\r') {
      carriageReturn = true;
      return true;
    }
    if ((c < ' ' && c != '\t') || c == 0x7f) {
      return false;
    }
    return switch (state) {
      case METHOD -> word(c, State.TARGET, c >= 'A' && c <= 'Z');
      case TARGET -> word(c, State.VERSION, c > ' ' && c < 0x7f);
      case VERSION -> c > ' ' && append(name, c);
      case LINE_START -> {
        name.setLength(0);
        value.setLength(0);
        state = State.NAME;
        yield isName(c) && append(name, c);
      }
      case NAME -> {
        if (c == ':') {
          state = State.VALUE;
          yield true;
        }
        yield isName(c) && append(name, c);
      }
      case VALUE -> append(value, c);
      case CHUNK_SIZE -> chunkDigit(c);
      case BODY, CHUNK, CHUNK_END -> false;
    };
  }

  private boolean word(int c, State next, boolean allowed) {
    if (c == ' ' && digits > 0) {
      digits = 0;
      name.setLength(0);
      state = next;
      return true;
    }
    digits++;
    return allowed;
  }

  private boolean endLine() {
    return switch (state) {
      case VERSION -> {
        state = State.LINE_START;
        yield VERSION.contentEquals(name);
      }
      case VALUE -> {
        state = State.LINE_START;
        yield inTrailers || noteFraming();
      }
      case LINE_START -> endSection();
      case CHUNK_SIZE -> {
        inTrailers = length == 0;
        state = inTrailers ? State.LINE_START : State.CHUNK;
        yield digits > 0;
      }
      case CHUNK_END -> {
        length = 0;
        digits = 0;
        state = State.CHUNK_SIZE;
        yield true;
      }
      case METHOD, TARGET, NAME, BODY, CHUNK -> false;
    };
  }

  private boolean endSection() {
    if (lengthGiven && chunked) {
      return false;
    }
    if (!inTrailers && chunked) {
      length = 0;
      digits = 0;
      state = State.CHUNK_SIZE;
    } else if (!inTrailers && length > 0) {
      state = State.BODY;
    } else {
      nextRequest();
    }
    return true;
  }

  private boolean noteFraming() {
    String key = name.toString();
    if (key.equalsIgnoreCase("transfer-encoding")) {
      boolean again = chunked;
      chunked = true;
      return !again && value.toString().strip().equalsIgnoreCase("chunked");
    }
    if (key.equalsIgnoreCase("content-length")) {
      String text = value.toString().strip();
      boolean valid = !lengthGiven && text.matches("[0-9]{1,16}");
      lengthGiven = true;
      length = valid ? Long.parseLong(text) : 0;
      return valid && length <= LARGEST_BODY;
    }
    return true;
  }

  private boolean chunkDigit(int c) {
    int digit = Character.digit(c, 16);
    length = length * 16 + digit;
    return digit >= 0 && ++digits <= 8;
  }

  private void nextRequest() {
    state = State.METHOD;
    begun = false;
    inTrailers = false;
    chunked = false;
    lengthGiven = false;
    length = 0;
    digits = 0;
    name.setLength(0);
  }

  /** Keeps what framing depends on; longer names and values are never of interest here. */
  private static boolean append(StringBuilder text, int c) {
    if (text.length() <= LONGEST_KNOWN) {
      text.append((char) c);
    }
    return true;
  }

  private static boolean isName(int c) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || "!#$%&'*+-.^`|~".indexOf(c) >= 0;
  }
}
