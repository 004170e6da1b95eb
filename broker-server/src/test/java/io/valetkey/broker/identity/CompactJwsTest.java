package io.valetkey.broker.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.Base64;
import java.util.Random;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Step 1 of 02-api section 2: one token has one spelling. */
class CompactJwsTest {

  private static final TestIssuer ISSUER = issuer();
  private static final String VALID = valid();

  private static TestIssuer issuer() {
    try {
      return new TestIssuer("k");
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static String valid() {
    try {
      return ISSUER.token(TestIssuer.claims("https://issuer.test"));
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  static Stream<String> otherSpellings() {
    int dot = VALID.indexOf('.');
    int lastDot = VALID.lastIndexOf('.');
    return Stream.of(
        VALID + "!",
        VALID + "=",
        VALID + "==",
        VALID + " ",
        VALID + "\n",
        VALID + ".",
        VALID + ".x",
        " " + VALID,
        "\uFEFF" + VALID,
        VALID.substring(0, 5) + "\n" + VALID.substring(5),
        VALID.substring(0, lastDot) + "=" + VALID.substring(lastDot),
        VALID.substring(0, dot) + "=" + VALID.substring(dot),
        VALID.substring(0, dot),
        VALID.substring(0, lastDot),
        VALID.substring(0, lastDot + 1),
        VALID.substring(dot),
        VALID.substring(0, dot) + "." + VALID.substring(lastDot),
        "Bearer " + VALID,
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        VALID.substring(0, lastDot + 2) + "+" + VALID.substring(lastDot + 3),
        VALID.substring(0, lastDot + 2) + "/" + VALID.substring(lastDot + 3),
        VALID.substring(0, lastDot + 2) + "\u0661" + VALID.substring(lastDot + 3),
        VALID.substring(0, lastDot + 2) + "\uFF21" + VALID.substring(lastDot + 3),
        VALID.substring(0, lastDot + 2) + "\u0000" + VALID.substring(lastDot + 3),
        otherLastBits());
  }

  /** The same 64 bytes to a library: only bits that nobody decodes differ. */
  private static String otherLastBits() {
    String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char last = VALID.charAt(VALID.length() - 1);
    String other =
        VALID.substring(0, VALID.length() - 1) + alphabet.charAt(alphabet.indexOf(last) | 1);
    assertThat(Base64.getUrlDecoder().decode(other.substring(other.lastIndexOf('.') + 1)))
        .isEqualTo(CompactJws.parse(VALID).signature());
    return other;
  }

  @ParameterizedTest
  @MethodSource("otherSpellings")
  void parse_whenSpelledOtherwise_refuses(String text) {
    assertMalformed(text);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"alg\":\"ES256\",\"alg\":\"ES256\"}",
        "{\"alg\":\"ES256\",\"al\\u0067\":\"none\"}",
        "{\"kid\":\"k\"}",
        "{\"alg\":null}",
        "{\"alg\":1}",
        "{\"alg\":\"ES256\",\"kid\":1}",
        "{\"alg\":\"ES256\",\"kid\":null}",
        "{\"alg\":\"ES256\",\"typ\":[\"JWT\"]}",
        "[\"alg\"]",
        "\"alg\"",
        "null",
        "{\"alg\":\"ES256\"} ,",
        "{\"alg\":\"ES256\"}{}",
        "{\"alg\":\"ES256\",}",
        "{'alg':'ES256'}",
        "{\"alg\":\"ES256\" /* c */}",
        "\uFEFF{\"alg\":\"ES256\"}",
        "not json"
      })
  void parse_whenHeaderIsNotStrictJson_refuses(String header) throws Exception {
    assertMalformed(ISSUER.token(header, "{}"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"sub\":\"a\",\"sub\":\"b\"}",
        "{\"x\":{\"y\":1,\"y\":2}}",
        "{\"exp\":NaN}",
        "{\"exp\":01}",
        "[]",
        "1",
        "{\"a\":",
        "{} x"
      })
  void parse_whenPayloadIsNotStrictJson_refuses(String payload) throws Exception {
    assertMalformed(ISSUER.token("{\"alg\":\"ES256\"}", payload));
  }

  @Test
  void parse_whenJsonIsNotUtf8_refuses() {
    byte[] latin1 = {'{', '"', 'a', '"', ':', '"', (byte) 0xe9, '"', '}'};
    byte[] overlong = {'{', '"', 'a', '"', ':', '"', (byte) 0xc0, (byte) 0xaf, '"', '}'};
    for (byte[] bytes : new byte[][] {latin1, overlong}) {
      assertMalformed(
          TestIssuer.encode("{\"alg\":\"ES256\"}")
              + "."
              + Base64.getUrlEncoder().withoutPadding().encodeToString(bytes)
              + ".AAAA");
    }
  }

  @Test
  void parse_whenNestedTooDeep_refuses() throws Exception {
    assertMalformed(
        ISSUER.token("{\"alg\":\"ES256\"}", "{\"a\":" + "[".repeat(40) + "]".repeat(40) + "}"));
  }

  @Test
  void parse_atTheBoundOfSize_acceptsAndBeyondRefuses() {
    String head = TestIssuer.encode("{\"alg\":\"ES256\"}") + "." + TestIssuer.encode("{}") + ".";
    int room = CompactJws.MAX_LENGTH - head.length();
    String filler = "A".repeat(room - (room % 4 == 1 ? 1 : 0));
    assertThat(CompactJws.parse(head + filler).alg()).isEqualTo("ES256");
    assertMalformed(head + "A".repeat(room + 4));
  }

  @Test
  void parse_whenValid_saysWhatWasSigned() throws Exception {
    CompactJws jws = CompactJws.parse(VALID);
    assertThat(jws.alg()).isEqualTo("ES256");
    assertThat(jws.kid()).isEqualTo("k");
    assertThat(jws.typ()).isEqualTo("JWT");
    assertThat(jws.payload()).containsEntry("iss", "https://issuer.test");
    assertThat(jws.signedBy(TestIssuer.CRYPTO.verifier(ISSUER.key, JWSAlgorithm.ES256))).isTrue();
    assertThatThrownBy(() -> jws.payload().clear())
        .isInstanceOf(UnsupportedOperationException.class);
  }

  /** Any change of any one character is either refused or no longer signed. */
  @Property(tries = 2000)
  void parse_whenMutated_neverStillFits(
      @ForAll @IntRange(min = 0, max = 5000) int position,
      @ForAll @IntRange(min = 0, max = 2) int operation,
      @ForAll char character)
      throws Exception {
    int at = position % VALID.length();
    String mutated =
        switch (operation) {
          case 0 -> VALID.substring(0, at) + character + VALID.substring(at + 1);
          case 1 -> VALID.substring(0, at) + character + VALID.substring(at);
          default -> VALID.substring(0, at) + VALID.substring(at + 1);
        };
    assertRefusedOrUnsigned(mutated);
  }

  @Test
  void parse_whenMutatedWithinTheAlphabet_neverStillFits() throws Exception {
    String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n";
    Random random = new Random(20261123);
    for (int i = 0; i < 5000; i++) {
      int at = random.nextInt(VALID.length());
      char c = alphabet.charAt(random.nextInt(alphabet.length()));
      assertRefusedOrUnsigned(VALID.substring(0, at) + c + VALID.substring(at + random.nextInt(2)));
    }
  }

  private static void assertRefusedOrUnsigned(String mutated) throws Exception {
    if (mutated.equals(VALID)) {
      return;
    }
    try {
      CompactJws jws = CompactJws.parse(mutated);
      assertThat(jws.signedBy(TestIssuer.CRYPTO.verifier(ISSUER.key, JWSAlgorithm.ES256)))
          .as(mutated)
          .isFalse();
    } catch (RefusedException e) {
      assertThat(e.code()).isEqualTo(ProblemCode.TOKEN_MALFORMED);
    }
  }

  private static void assertMalformed(String text) {
    assertThatThrownBy(() -> CompactJws.parse(text))
        .isInstanceOfSatisfying(
            RefusedException.class,
            e -> assertThat(e.code()).isEqualTo(ProblemCode.TOKEN_MALFORMED));
  }
}
