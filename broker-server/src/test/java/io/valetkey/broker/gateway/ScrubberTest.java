package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.secret.SecretValue;
import java.io.ByteArrayOutputStream;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** An echoed credential never reaches the caller, however the answer is cut into pieces. */
class ScrubberTest {

  private static final String KEY = "sk-live/51+Abc~\"é=";

  @Test
  void scrub_whenNothingIsEchoed_changesNothing() {
    String text = "data: {\"x\": \"sk-live/51+Abc\"}\n\n";
    assertThat(new Scrubber(List.of(SecretValue.of(KEY))).scrub(text)).isEqualTo(text);
  }

  @Test
  void scrub_keepsTheLength() {
    assertThat(new Scrubber(List.of(SecretValue.of("secret"))).scrub("a secret, secretsecret."))
        .isEqualTo("a ******, ************.");
  }

  @Test
  void scrub_findsEveryFormAtEveryAlignment() {
    Scrubber scrubber = new Scrubber(List.of(SecretValue.of(KEY)));
    for (String before : List.of("", "u", "u:", "us:")) {
      byte[] pair = (before + KEY + "tail").getBytes(StandardCharsets.UTF_8);
      for (Base64.Encoder encoder : List.of(Base64.getEncoder(), Base64.getUrlEncoder())) {
        String encoded = encoder.encodeToString(pair);
        String scrubbed = scrubber.scrub("<" + encoded + ">");
        assertThat(scrubbed).contains("*".repeat(KEY.length())).hasSize(encoded.length() + 2);
      }
    }
    String form = URLEncoder.encode(KEY, StandardCharsets.UTF_8);
    assertThat(scrubber.scrub(form)).isEqualTo("*".repeat(form.length()));
    String json = KEY.replace("\"", "\\\"");
    String bytes = new String(json.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    assertThat(scrubber.scrub(bytes)).isEqualTo("*".repeat(bytes.length()));
  }

  @Test
  void feed_neverChangesWhatItWasGiven_andGivesItBackIfThereIsNothingToDo() {
    Scrubber.Stream stream = new Scrubber(List.of(SecretValue.of("sk-secret"))).stream();
    byte[] clean = bytes("nothing of it");
    assertThat(stream.feed(clean)).isSameAs(clean);
    byte[] echo = bytes("an sk-secret here");
    assertThat(text(stream.feed(echo))).isEqualTo("an ********* here");
    assertThat(text(echo)).isEqualTo("an sk-secret here");
  }

  @Test
  void scrub_whenACharacterHasNoPlaceInAHeader_replacesIt() {
    assertThat(new Scrubber(List.of(SecretValue.of("sk-secret"))).scrub("a\u2713b"))
        .isEqualTo("a?b");
  }

  @Test
  void feed_holdsBackOnlyWhatMayBecomeTheCredential() {
    Scrubber.Stream stream = new Scrubber(List.of(SecretValue.of("sk-secret"))).stream();
    assertThat(text(stream.feed(bytes("data: 1\n\n")))).isEqualTo("data: 1\n\n");
    assertThat(text(stream.feed(bytes("data: sk-s")))).isEqualTo("data: ");
    assertThat(text(stream.feed(bytes("afe\n\n")))).isEqualTo("sk-safe\n\n");
    assertThat(text(stream.feed(bytes("x sk-sec")))).isEqualTo("x ");
    assertThat(text(stream.feed(bytes("ret")))).isEqualTo("*********");
    assertThat(text(stream.feed(bytes("sk")))).isEmpty();
    assertThat(text(stream.end())).isEqualTo("sk");
  }

  @Property
  void feed_givesTheSameForEverySplit(
      @ForAll("secrets") String secret,
      @ForAll("texts") String text,
      @ForAll("cuts") List<Integer> cuts) {
    Scrubber scrubber = new Scrubber(List.of(SecretValue.of(secret)));
    String whole = scrubber.scrub(text);
    assertThat(whole).doesNotContain(secret).hasSameSizeAs(text);
    Scrubber.Stream stream = scrubber.stream();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] bytes = bytes(text);
    int at = 0;
    for (int cut : cuts) {
      int end = Math.min(bytes.length, at + cut);
      out.writeBytes(stream.feed(java.util.Arrays.copyOfRange(bytes, at, end)));
      at = end;
    }
    out.writeBytes(stream.feed(java.util.Arrays.copyOfRange(bytes, at, bytes.length)));
    out.writeBytes(stream.end());
    assertThat(text(out.toByteArray())).isEqualTo(whole);
    assertThat(whole).isEqualTo(naive(scrubber, text, secret));
  }

  /** Marks every occurrence by comparing at every position. */
  private static String naive(Scrubber scrubber, String text, String secret) {
    StringBuilder out = new StringBuilder(text);
    for (String pattern : SecretPatterns.of(SecretValue.of(secret))) {
      for (int i = text.indexOf(pattern); i >= 0; i = text.indexOf(pattern, i + 1)) {
        for (int j = i; j < i + pattern.length(); j++) {
          out.setCharAt(j, '*');
        }
      }
    }
    return out.toString();
  }

  @Provide
  Arbitrary<String> secrets() {
    return Arbitraries.strings().withChars("ab+").ofMinLength(1).ofMaxLength(7);
  }

  @Provide
  Arbitrary<String> texts() {
    return Arbitraries.strings().withChars("ab+%2B").ofMaxLength(60);
  }

  @Provide
  Arbitrary<List<Integer>> cuts() {
    return Arbitraries.integers().between(0, 9).list().ofMaxSize(20);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  /** A message does not wait for the next one, and a credential over both loses what follows. */
  @Test
  void flush_whenTheCredentialGoesOn_masksTheRest() {
    Scrubber.Stream stream = new Scrubber(List.of(SecretValue.of("sk-real-0123456789"))).stream();
    assertThat(text(stream.feed(bytes("a sk-re")))).isEqualTo("a ");
    assertThat(text(stream.flush())).isEqualTo("sk-re");
    assertThat(stream.feed(bytes("al-01234"))).isEmpty();
    assertThat(text(stream.feed(bytes("56789 b")))).isEqualTo("************* b");
    assertThat(stream.flush()).isEmpty();
    assertThat(text(stream.feed(bytes("al-0123456789")))).isEqualTo("al-0123456789");
  }
}
