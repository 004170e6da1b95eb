package io.valetkey.broker.console;

import io.valetkey.broker.console.Session.Via;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.BootstrapToken;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.crypto.Sha256;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * Who is signed in, in PostgreSQL, so that every replica knows it. What the browser holds are 256
 * random bits; what is stored is their hash.
 */
final class Sessions {

  private static final int BYTES = 32;
  private static final Duration TOUCH_AFTER = Duration.ofSeconds(20);

  private final JdbcClient database;
  private final BootstrapToken bootstrap;
  private final ConsoleSettings settings;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();

  Sessions(JdbcClient database, BootstrapToken bootstrap, ConsoleSettings settings, Clock clock) {
    this.database = database;
    this.bootstrap = bootstrap;
    this.settings = settings;
    this.clock = clock;
  }

  /** Signs somebody in: always a new session, whatever the browser had before. Its cookie. */
  String open(Admin admin, Via via) {
    byte[] bytes = new byte[BYTES];
    random.nextBytes(bytes);
    String cookie = Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    database
        .sql(
            "INSERT INTO console_session (id_hash, name, roles, via, ends_at) VALUES (:id, :name,"
                + " :roles, :via, now() + :millis * interval '1 millisecond')")
        .param("id", Sha256.of(cookie))
        .param("name", admin.name())
        .param("roles", words(admin.roles()))
        .param("via", via.name().toLowerCase(Locale.ROOT))
        .param("millis", lifetime(via).toMillis())
        .update();
    return cookie;
  }

  private Duration lifetime(Via via) {
    Duration longest = settings.lifetime();
    if (via == Via.OIDC) {
      return longest;
    }
    Instant now = clock.instant();
    Duration left = Duration.between(now, bootstrap.end().orElse(now));
    return left.compareTo(longest) < 0 ? left : longest;
  }

  /**
   * The session of a cookie, if it has not ended.
   *
   * @param active whether a person did something; what a page does by itself keeps nobody signed in
   */
  Optional<Session> find(String cookie, boolean active) {
    byte[] id = Sha256.of(cookie);
    Optional<Session> found =
        database
            .sql(
                "SELECT name, roles, via FROM console_session WHERE id_hash = :id AND ends_at >"
                    + " now() AND last_seen_at > now() - :idle * interval '1 millisecond'")
            .param("id", id)
            .param("idle", settings.idle().toMillis())
            .query((row, number) ->
                new Session(
                    new Admin(row.getString("name"), roles(row.getString("roles")), null),
                    Via.valueOf(row.getString("via").toUpperCase(Locale.ROOT)),
                    cookie))
            .optional()
            .filter(session -> session.via() != Via.BOOTSTRAP || bootstrap.end().isPresent());
    if (active && found.isPresent()) {
      touch(id);
    }
    return found;
  }

  private void touch(byte[] id) {
    database
        .sql(
            "UPDATE console_session SET last_seen_at = now() WHERE id_hash = :id AND last_seen_at <"
                + " now() - :after * interval '1 millisecond'")
        .param("id", id)
        .param("after", Math.min(TOUCH_AFTER.toMillis(), settings.idle().toMillis() / 4))
        .update();
  }

  /** Signs out, at every replica. */
  void close(String cookie) {
    database.sql("DELETE FROM console_session WHERE id_hash = ?").param(Sha256.of(cookie)).update();
  }

  /** The roles' names, in the order of what they allow. */
  static String words(Set<Role> roles) {
    return roles.stream()
        .sorted()
        .map(role -> role.name().toLowerCase(Locale.ROOT))
        .collect(Collectors.joining(" "));
  }

  private static Set<Role> roles(String words) {
    return Arrays.stream(words.split(" ", -1))
        .flatMap(word -> Role.named(word).stream())
        .collect(Collectors.toUnmodifiableSet());
  }
}
