package io.valetkey.broker.console;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Somebody's way to the provider and back, kept by the browser that set out, in a cookie: random
 * bits, the time, and the page that was wanted. State, nonce and code verifier follow from it, so
 * an answer fits no other browser, no other time and no other page. Not a record, which would print
 * it.
 */
final class SignInAttempt {

  /** How long the way may take. */
  static final Duration LONGEST = Duration.ofMinutes(10);

  /**
   * How far replicas' clocks may be apart; a later time would keep the mark of its use too long.
   */
  private static final Duration AHEAD = Duration.ofMinutes(1);

  private static final int BYTES = 32;
  private static final String FORM = "[A-Za-z0-9_-]{43}\\.[0-9]{10}\\.[A-Za-z0-9_-]{1,700}";

  private final String cookie;
  private final Instant begun;
  private final String next;

  private SignInAttempt(String cookie, Instant begun, String next) {
    this.cookie = cookie;
    this.begun = begun;
    this.next = next;
  }

  /**
   * Sets out.
   *
   * @param next a page of ours
   */
  static SignInAttempt begin(SecureRandom random, Instant now, String next) {
    byte[] bytes = new byte[BYTES];
    random.nextBytes(bytes);
    return new SignInAttempt(
        base64(bytes)
            + "."
            + now.getEpochSecond()
            + "."
            + base64(next.getBytes(StandardCharsets.US_ASCII)),
        now,
        next);
  }

  /** What a browser has kept; empty if it is nothing of ours. */
  static Optional<SignInAttempt> of(@Nullable String cookie) {
    if (cookie == null || !cookie.matches(FORM)) {
      return Optional.empty();
    }
    String[] parts = cookie.split("\\.", -1);
    try {
      String next = new String(Base64.getUrlDecoder().decode(parts[2]), StandardCharsets.US_ASCII);
      Instant begun = Instant.ofEpochSecond(Long.parseLong(parts[1]));
      return Optional.of(new SignInAttempt(cookie, begun, SignInController.ours(next)));
    } catch (IllegalArgumentException e) {
      return Optional.empty(); // not base64
    }
  }

  /** Whether a state is this attempt's, and its time has not ended. */
  boolean isAnsweredBy(@Nullable String state, Instant now) {
    return state != null
        && MessageDigest.isEqual(
            state.getBytes(StandardCharsets.UTF_8), state().getBytes(StandardCharsets.UTF_8))
        && now.isBefore(begun.plus(LONGEST))
        && !begun.isAfter(now.plus(AHEAD));
  }

  String cookie() {
    return cookie;
  }

  String state() {
    return derived("state");
  }

  String nonce() {
    return derived("nonce");
  }

  /** The code verifier: 43 characters, the fewest that there may be (RFC 7636 section 4.1). */
  String verifier() {
    return derived("code verifier");
  }

  Instant end() {
    return begun.plus(LONGEST);
  }

  String next() {
    return next;
  }

  private String derived(String what) {
    return Derived.from(cookie, "valetkey console sign-in " + what);
  }

  private static String base64(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }
}
