package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FileSourceTest {

  @TempDir Path base;
  private Path directory;
  private FileSource source;

  @BeforeEach
  void setUp() throws IOException {
    directory = Files.createDirectory(base.resolve("credentials"));
    source = new FileSource(directory);
  }

  @Test
  void read_stripsOneTrailingLineBreak() throws IOException {
    write("openai", "canary-1\n");
    assertThat(read("openai")).isEqualTo("canary-1");
    write("openai", "canary-2\r\n");
    assertThat(read("openai")).isEqualTo("canary-2");
    write("openai", " canary 3 ");
    assertThat(read("openai")).isEqualTo(" canary 3 ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\n",
        "canary\n\n",
        "can\nary",
        "can\rary",
        "can\0ary",
        "can\tary",
        "can\u0085ary"
      })
  void read_whenEmptyOrWithControlCharacters_refusesWithoutTheValue(String content)
      throws IOException {
    write("openai", content);
    refused("openai").hasMessageContaining("file openai").hasMessageNotContaining("can");
  }

  @Test
  void read_holdsTheLimitOf16KiB() throws IOException {
    write("openai", "x".repeat(16 * 1024) + "\r\n");
    assertThat(read("openai")).hasSize(16 * 1024);
    write("openai", "x".repeat(16 * 1024 + 1));
    refused("openai").hasMessageContaining("larger than 16 KiB");
    write("openai", "ä".repeat(8 * 1024 + 1));
    refused("openai");
  }

  @Test
  void read_takesTheNamedFieldsOfAJsonObject() throws IOException {
    write("datadog", "{\"api_key\":\"canary-1\",\"app_key\":\"canary-2\",\"site\":7}\n");
    CredentialFields fields = fields("datadog", List.of("api_key"), List.of("app_key", "absent"));
    assertThat(fields.all())
        .extracting(SecretValue::reveal)
        .containsExactly("canary-1", "canary-2");
    assertThat(fields.get("api_key")).isEqualTo(SecretValue.of("canary-1"));
    assertThat(fields.get(null)).isNull();
    assertThat(fields.toString()).doesNotContain("canary");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "canary",
        "[\"canary\"]",
        "{\"a\":\"canary\",\"a\":\"canary\",\"b\":\"x\"}",
        "{\"a\":\"canary\"} x",
        "{\"a\":\"canary\"}",
        "{\"a\":\"canary\",\"b\":7}",
        "{\"a\":\"canary\",\"b\":\"\"}",
        "{\"a\":\"canary\",\"b\":\"can\\nary\"}"
      })
  void read_whenAFieldIsMissingOrTheFileHasNone_refusesWithoutTheValue(String content)
      throws IOException {
    write("datadog", content);
    assertThatThrownBy(() -> fields("datadog", List.of("a", "b"), List.of()))
        .isInstanceOfSatisfying(
            RefusedException.class,
            e -> assertThat(e.code()).isEqualTo(ProblemCode.CREDENTIAL_UNAVAILABLE))
        .isNotInstanceOf(SourceAwayException.class)
        .hasMessageNotContaining("can");
  }

  @Test
  void read_whenNotUtf8_refuses() throws IOException {
    Files.write(directory.resolve("openai"), new byte[] {'a', (byte) 0xC0, (byte) 0x80});
    refused("openai").hasMessageContaining("not UTF-8");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", ".", "..", ".hidden", "../outside", "a/b", "/etc/passwd", "a\0b", "ä", "a b"})
  void read_whenTheNameIsNotPlain_refuses(String name) throws IOException {
    Files.writeString(base.resolve("outside"), "canary");
    write(".hidden", "canary");
    refused(name).hasMessageContaining("not a plain file name");
  }

  @Test
  void read_followsLinksInsideAsKubernetesMakesThem() throws IOException {
    Path first = Files.createDirectory(directory.resolve("..2026_11_01"));
    Files.writeString(first.resolve("openai"), "canary-1");
    Files.createSymbolicLink(directory.resolve("..data"), Path.of("..2026_11_01"));
    Files.createSymbolicLink(directory.resolve("openai"), Path.of("..data/openai"));
    assertThat(read("openai")).isEqualTo("canary-1");

    Path second = Files.createDirectory(directory.resolve("..2026_11_02"));
    Files.writeString(second.resolve("openai"), "canary-2");
    Files.delete(directory.resolve("..data"));
    Files.createSymbolicLink(directory.resolve("..data"), Path.of("..2026_11_02"));
    assertThat(read("openai")).isEqualTo("canary-2");
  }

  @Test
  void read_whenALinkLeadsOut_refuses() throws IOException {
    Path outside = Files.writeString(base.resolve("outside"), "canary");
    Files.createSymbolicLink(directory.resolve("openai"), outside);
    refused("openai").hasMessageContaining("leads out").hasMessageNotContaining("canary");
  }

  @Test
  void read_whenNothingIsThere_refusesForCertain() throws IOException {
    refused("openai").isNotInstanceOf(SourceAwayException.class);
    Files.createDirectory(directory.resolve("folder"));
    refused("folder").hasMessageContaining("not a regular file");
    assertThatThrownBy(
            () -> new FileSource(base.resolve("nowhere")).read(new Credential.File("openai")))
        .isInstanceOf(RefusedException.class);
  }

  private void write(String name, String content) throws IOException {
    Files.writeString(directory.resolve(name), content);
  }

  private CredentialFields fields(String name, List<String> required, List<String> optional) {
    return source.read(new Credential.File(name), required, optional);
  }

  private String read(String name) {
    return source.read(new Credential.File(name)).reveal();
  }

  private org.assertj.core.api.AbstractThrowableAssert<?, ?> refused(String name) {
    return assertThatThrownBy(() -> read(name))
        .isInstanceOfSatisfying(
            RefusedException.class,
            e -> assertThat(e.code()).isEqualTo(ProblemCode.CREDENTIAL_UNAVAILABLE));
  }
}
