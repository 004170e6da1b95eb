package io.valetkey.broker;

import io.valetkey.broker.identity.RelyingParty;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.convert.DurationStyle;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.PropertySource;

/**
 * Reads settings below {@code valetkey.} and collects everything that is wrong with them, so that
 * the start fails once with one list.
 */
final class SettingsReader {

  private static final String PREFIX = "valetkey.";

  /** Variables of the client library and of the build, which may stand in the same environment. */
  private static final Set<String> OTHERS =
      Set.of(
          "url",
          "gatewayurl",
          "tokenfile",
          "spiffejwtsvidfile",
          "oidctokenfile",
          "cache",
          "realvaulturi",
          "realvaulttoken");

  private final ConfigurableEnvironment environment;
  private final Set<String> known = new HashSet<>();
  private final List<String> problems = new ArrayList<>();

  SettingsReader(ConfigurableEnvironment environment) {
    this.environment = environment;
  }

  List<String> problems() {
    return problems;
  }

  void problem(String name, String sentence) {
    problems.add(PREFIX + name + ": " + sentence);
  }

  /** Notes a missing address of the database, the one setting of Spring's that must be given. */
  void requireDatabase() {
    if (environment.getProperty("spring.datasource.url") == null) {
      problems.add("spring.datasource.url: is missing; the broker needs PostgreSQL");
    }
  }

  @Nullable String text(String name) {
    known.add(canonical(PREFIX + name));
    String value = environment.getProperty(PREFIX + name);
    return value == null || value.isBlank() ? null : value.strip();
  }

  String text(String name, String otherwise) {
    String value = text(name);
    return value == null ? otherwise : value;
  }

  List<String> list(String name) {
    String value = text(name);
    return value == null
        ? List.of()
        : Arrays.stream(value.split(",")).map(String::strip).filter(s -> !s.isEmpty()).toList();
  }

  /** A file that can be read now; it is read again when it is needed. */
  @Nullable Path file(String name) {
    String file = text(name);
    if (file == null) {
      return null;
    }
    if (!Files.isReadable(Path.of(file))) {
      problem(name, "is not a file that can be read");
    }
    return Path.of(file);
  }

  int port(String name, int otherwise) {
    return number(name, otherwise, 0, 65535);
  }

  int number(String name, int otherwise, int least, int most) {
    String value = text(name);
    if (value == null) {
      return otherwise;
    }
    try {
      int number = Integer.parseInt(value);
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Said below, together with a number that is out of range.
    }
    problem(name, "must be a number from " + least + " to " + most);
    return otherwise;
  }

  boolean flag(String name, boolean otherwise) {
    String value = text(name, String.valueOf(otherwise));
    if (!value.equals("true") && !value.equals("false")) {
      problem(name, "must be true or false");
    }
    return value.equals("true");
  }

  Duration duration(String name, Duration otherwise, Duration least, Duration most) {
    String value = text(name);
    if (value == null) {
      return otherwise;
    }
    try {
      Duration duration = DurationStyle.SIMPLE.parse(value);
      if (duration.compareTo(least) >= 0 && duration.compareTo(most) <= 0) {
        return duration;
      }
    } catch (IllegalArgumentException e) {
      // Said below.
    }
    problem(name, "must be a duration such as 30s, from " + least + " to " + most);
    return otherwise;
  }

  /**
   * A URL under which others reach us: https, or http for loopback; without query and final slash.
   */
  String externalUrl(String name) {
    String value = text(name);
    if (value == null) {
      problem(name, "is missing");
      return "";
    }
    try {
      URI uri = new URI(value);
      boolean loopback = isLoopback(uri.getHost());
      boolean allowed =
          "https".equals(uri.getScheme()) || ("http".equals(uri.getScheme()) && loopback);
      if (!allowed) {
        problem(name, "must be https (http only for loopback addresses)");
      } else if (uri.getRawQuery() != null
          || uri.getRawFragment() != null
          || uri.getUserInfo() != null) {
        problem(name, "must have no user, query or fragment");
      } else if (value.endsWith("/")) {
        problem(name, "must not end with a slash");
      }
    } catch (URISyntaxException e) {
      problem(name, "is not a URL");
    }
    return value;
  }

  /** A URL of somebody else, to which we or a browser go: https, or http for loopback. */
  @Nullable URI secureUrl(String name) {
    String value = text(name);
    if (value == null) {
      return null;
    }
    try {
      URI uri = new URI(value);
      if (RelyingParty.isSecure(uri)) {
        return uri;
      }
    } catch (URISyntaxException e) {
      // Said below.
    }
    problem(name, "must be an https URL (http only for loopback)");
    return null;
  }

  private static boolean isLoopback(@Nullable String host) {
    return host != null
        && (host.equals("localhost")
            || host.equals("[::1]")
            || host.matches("127(\\.\\d{1,3}){3}"));
  }

  <E extends Enum<E>> E choice(String name, Class<E> type, E otherwise) {
    String value = text(name);
    if (value == null) {
      return otherwise;
    }
    for (E constant : type.getEnumConstants()) {
      if (constant.name().toLowerCase(Locale.ROOT).equals(value.toLowerCase(Locale.ROOT))) {
        return constant;
      }
    }
    problem(
        name,
        "must be one of " + Arrays.toString(type.getEnumConstants()).toLowerCase(Locale.ROOT));
    return otherwise;
  }

  /**
   * Notes every setting below our prefix that nobody read: a misspelt guard must not go unnoticed.
   */
  void refuseUnknown() {
    Set<String> unknown = new TreeSet<>();
    for (PropertySource<?> source : environment.getPropertySources()) {
      if (source instanceof EnumerablePropertySource<?> enumerable) {
        for (String name : enumerable.getPropertyNames()) {
          String canonical = canonical(name);
          if (canonical.startsWith("valetkey")
              && (name.startsWith(PREFIX) || name.startsWith("VALETKEY_"))
              && !known.contains(canonical)
              && !OTHERS.contains(canonical.substring("valetkey".length()))) {
            unknown.add(name);
          }
        }
      }
    }
    unknown.forEach(name -> problems.add(name + ": there is no such setting"));
  }

  private static String canonical(String name) {
    return name.toLowerCase(Locale.ROOT).replaceAll("[-_.]", "");
  }
}
