package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** The upstream's own origin, and nothing that merely looks like it, becomes ours. */
class AddressRewriterTest {

  private static final String OURS = "https://gw.test/d/a";

  /** What is meant, said in another way. */
  private static final Pattern MEANT =
      Pattern.compile(
          "https:(//|\\\\/\\\\/)a\\.test(:443)?(?=[/?#\"'<>\\\\()\\[\\]{},;|`\\x00-\\x20]|\\z)");

  private final AddressRewriter rewriter = new AddressRewriter("A.test", 443, OURS);

  @Test
  void feed_replacesTheOriginAlone() {
    assertThat(whole("{\"url\":\"https://a.test/x\",\"e\":\"https:\\/\\/a.test\\/x\"}"))
        .isEqualTo("{\"url\":\"https://gw.test/d/a/x\",\"e\":\"https:\\/\\/gw.test\\/d\\/a\\/x\"}");
    assertThat(whole("https://a.test:443?q https://a.test")).isEqualTo(OURS + "?q " + OURS);
    for (String other :
        List.of(
            "https://a.test.evil.test/",
            "https://a.test@evil.test/",
            "https://a.test:pass@evil.test/",
            "https://a.test:4430/",
            "https://a.test-b.test/",
            "https://a.test\u00e4.test/",
            "http://a.test/",
            "https://xa.test/",
            "https:/\\/a.test/")) {
      assertThat(whole(other)).isEqualTo(other);
    }
  }

  @Test
  void feed_ofAnotherPort_leavesTheOneWithoutIt() {
    var other = new AddressRewriter("a.test", 8443, OURS).stream();
    assertThat(text(other.feed(bytes("https://a.test/x https://a.test:8443/x "))))
        .isEqualTo("https://a.test/x " + OURS + "/x ");
  }

  @Test
  void feed_holdsBackOnlyWhatMayBecomeTheOrigin_andGivesBackWhatItLeaves() {
    AddressRewriter.Stream stream = rewriter.stream();
    byte[] clean = bytes("data: 1\n\n");
    assertThat(stream.feed(clean)).isSameAs(clean);
    assertThat(text(stream.feed(bytes("data: https://a.te")))).isEqualTo("data: ");
    assertThat(text(stream.feed(bytes("lco\n\n")))).isEqualTo("https://a.telco\n\n");
    assertThat(text(stream.feed(bytes("x https://a.test")))).isEqualTo("x ");
    assertThat(text(stream.feed(bytes("\n")))).isEqualTo(OURS + "\n");
    assertThat(text(stream.feed(bytes("http")))).isEmpty();
    assertThat(text(stream.end())).isEqualTo("http");
  }

  @Property
  void feed_givesTheSameForEverySplit(
      @ForAll("texts") String text, @ForAll("cuts") List<Integer> cuts) {
    String expected =
        MEANT
            .matcher(text)
            .replaceAll(found ->
                Matcher.quoteReplacement(
                    found.group(1).equals("//") ? OURS : OURS.replace("/", "\\/")));
    assertThat(whole(text)).isEqualTo(expected);
    AddressRewriter.Stream stream = rewriter.stream();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] bytes = bytes(text);
    int at = 0;
    for (int cut : cuts) {
      int end = Math.min(bytes.length, at + cut);
      out.writeBytes(stream.feed(Arrays.copyOfRange(bytes, at, end)));
      at = end;
    }
    out.writeBytes(stream.feed(Arrays.copyOfRange(bytes, at, bytes.length)));
    out.writeBytes(stream.end());
    assertThat(text(out.toByteArray())).isEqualTo(expected);
  }

  @Provide
  Arbitrary<String> texts() {
    return Arbitraries.of(
            "https://a.test",
            "https:\\/\\/a.test",
            ":443",
            ":4",
            ".evil",
            "/",
            "\\",
            "\"",
            " ",
            "h",
            "https:",
            "//a",
            "x",
            "@",
            "\u00e4")
        .list()
        .ofMaxSize(12)
        .map(parts -> String.join("", parts));
  }

  @Provide
  Arbitrary<List<Integer>> cuts() {
    return Arbitraries.integers().between(0, 9).list().ofMaxSize(20);
  }

  private String whole(String text) {
    AddressRewriter.Stream stream = rewriter.stream();
    return text(stream.feed(bytes(text))) + text(stream.end());
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }
}
