package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.problem.RefusedException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AwsChunkedTest {

  private static final String SIGNED = ";chunk-signature=" + "0a".repeat(32);
  private static final String CHECKSUM = "x-amz-checksum-crc32:sOO8/Q==\r\n";

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 7, 1000})
  void feed_losesSignaturesAndKeepsTheRest_howeverItIsCut(int size) {
    String body =
        "5%s\r\nhello\r\n3%s\r\n\r\n!\r\n0%s\r\n%sx-amz-trailer-signature:0a\r\n\r\n"
            .formatted(SIGNED, SIGNED, SIGNED, CHECKSUM);
    assertThat(read(new AwsChunked(true, Set.of("x-amz-checksum-crc32"), 8), body, size))
        .isEqualTo("5\r\nhello\r\n3\r\n\r\n!\r\n0\r\n" + CHECKSUM + "\r\n");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 7, 1000})
  void feed_withoutTrailers_givesTheContentAlone(int size) {
    String body = "5%s\r\nhello\r\n1%s\r\n!\r\n0%s\r\n\r\n".formatted(SIGNED, SIGNED, SIGNED);
    assertThat(read(new AwsChunked(false, Set.of(), 6), body, size)).isEqualTo("hello!");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "4\r\nhell\r\n0\r\n\r\n",
        "6\r\nhello!\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "000000005\r\nhello\r\n0\r\n\r\n",
        "5;other=1\r\nhello\r\n0\r\n\r\n",
        "5;chunk-signature=0a;x\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\nX",
        "5\r\nhello\r\n0\r\nx-amz-other: 1\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32 : 1\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:\u0001\r\n\r\n",
        "5\r\nhello\r\n0\rX\r\n\r\n"
      })
  void body_whenMalformedIncompleteOrOfAnotherLength_isRefused(String body) {
    assertThatThrownBy(
            () -> read(new AwsChunked(true, Set.of("x-amz-checksum-crc32"), 5), body, 1000))
        .isInstanceOf(RefusedException.class);
    assertThatThrownBy(() -> read(new AwsChunked(true, Set.of("x-amz-checksum-crc32"), 5), body, 1))
        .isInstanceOf(RefusedException.class);
  }

  @Test
  void line_whenItNeverEnds_isRefusedBeforeItGrows() {
    var chunked = new AwsChunked(true, Set.of(), -1);
    assertThatThrownBy(() -> chunked.feed(bytes("0".repeat(4096))))
        .isInstanceOf(RefusedException.class);
  }

  private static String read(AwsChunked chunked, String body, int size) {
    byte[] bytes = bytes(body);
    var out = new ByteArrayOutputStream();
    for (int i = 0; i < bytes.length; i += size) {
      out.writeBytes(chunked.feed(Arrays.copyOfRange(bytes, i, Math.min(bytes.length, i + size))));
    }
    chunked.end();
    return out.toString(StandardCharsets.ISO_8859_1);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }
}
