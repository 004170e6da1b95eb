package io.valetkey.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Addresses, and how the workload's identity is chosen and re-read. */
class ConfigurationTest {
  private static final String GOOD =
      "{\"access_token\":\"aaaa.bbbb.cccc\",\"token_type\":\"Bearer\",\"expires_in\":300,"
          + "\"scope\":\"all\",\"issued_token_type\":\"urn:ietf:params:oauth:token-type:jwt\"}";

  @TempDir private Path directory;
  private final Map<String, String> environment = new HashMap<>();
  private final MovableClock clock = new MovableClock();
  private RawServer broker;

  @BeforeEach
  void start() throws IOException {
    broker = new RawServer();
    broker.answers(200, GOOD);
    environment.put("VALETKEY_URL", broker.url());
  }

  @AfterEach
  void stop() {
    broker.close();
  }

  private Path projected() {
    return directory.resolve("projected");
  }

  private Path file(String name, String jwt) throws IOException {
    return Files.writeString(directory.resolve(name), jwt + "\n");
  }

  private Valetkey.Builder builder() {
    return Valetkey.builder().clock(clock).surroundings(environment, projected());
  }

  private String identitySent(Valetkey valetkey) {
    valetkey.destination("openai").token();
    String body = broker.bodies.get(broker.bodies.size() - 1);
    return body.replaceAll(".*&subject_token=([^&]*).*", "$1");
  }

  private ConfigurationException refused(Valetkey.Builder builder) {
    return catchThrowableOfType(ConfigurationException.class, builder::build);
  }

  @Test
  void identity_isTheFirstOfTheChainThatIsConfigured() throws IOException {
    environment.put("VALETKEY_OIDC_TOKEN_FILE", file("oidc", "o.i.dc").toString());
    assertThat(identitySent(builder().build())).isEqualTo("o.i.dc");
    environment.put("VALETKEY_SPIFFE_JWT_SVID_FILE", file("svid", "s.v.id").toString());
    assertThat(identitySent(builder().build())).isEqualTo("s.v.id");
    file("projected", "p.r.oj");
    assertThat(identitySent(builder().build())).isEqualTo("p.r.oj");
    environment.put("VALETKEY_TOKEN_FILE", file("named", "n.a.med").toString());
    assertThat(identitySent(builder().build())).isEqualTo("n.a.med");
    assertThat(identitySent(builder().identity(() -> "e.x.plicit").build()))
        .isEqualTo("e.x.plicit");
  }

  @Test
  void identity_isChosenOnce() throws IOException {
    environment.put("VALETKEY_OIDC_TOKEN_FILE", file("oidc", "o.i.dc").toString());
    Valetkey valetkey = builder().build();
    file("projected", "p.r.oj");
    assertThat(identitySent(valetkey)).isEqualTo("o.i.dc");
  }

  @Test
  void identity_whenNoneIsFound_listsEverythingTriedAndHowToMendIt() {
    environment.put("VALETKEY_OIDC_TOKEN_FILE", " ");
    ConfigurationException e = refused(builder());
    assertThat(e.retryable()).isFalse();
    assertThat(e)
        .hasMessageContainingAll(
            "Builder.identity",
            "VALETKEY_TOKEN_FILE",
            projected().toString(),
            "serviceAccountToken",
            "VALETKEY_SPIFFE_JWT_SVID_FILE",
            "VALETKEY_OIDC_TOKEN_FILE");
  }

  @Test
  void identity_whenTheNamedFileIsUnusable_neverFallsThroughToAnother() throws IOException {
    environment.put("VALETKEY_OIDC_TOKEN_FILE", file("oidc", "o.i.dc").toString());
    file("projected", "not a token: hunter2");
    assertThat(refused(builder()))
        .hasMessageContaining(projected().toString())
        .hasMessageNotContaining("hunter2");
    environment.put("VALETKEY_TOKEN_FILE", directory.resolve("missing").toString());
    assertThat(refused(builder())).hasMessageContaining("VALETKEY_TOKEN_FILE names");
    file("missing", "a.b." + "c".repeat(16 * 1024));
    assertThat(refused(builder())).hasMessageContaining("16 KiB");
  }

  @Test
  void identity_afterRotation_isReadAnew() throws IOException {
    Path file = file("token", "first.first.first");
    environment.put("VALETKEY_TOKEN_FILE", file.toString());
    Valetkey valetkey = builder().build();
    assertThat(identitySent(valetkey)).isEqualTo("first.first.first");
    file("token", "second.second.second");
    clock.advance(Duration.ofSeconds(300));
    assertThat(identitySent(valetkey)).isEqualTo("second.second.second");
  }

  /** Kubernetes: token → ..data/token, ..data → a directory, replaced by an atomic rename. */
  @Test
  void identity_whenKubernetesSwapsTheDirectory_isReadAnew() throws IOException {
    for (String version : new String[] {"one", "two"}) {
      Path data = Files.createDirectory(directory.resolve(".." + version));
      Files.writeString(data.resolve("token"), version + "." + version + "." + version);
    }
    Path data = directory.resolve("..data");
    Files.createSymbolicLink(data, Path.of("..one"));
    Path token = Files.createSymbolicLink(directory.resolve("token"), Path.of("..data/token"));
    Valetkey valetkey = Valetkey.builder().clock(clock).surroundings(environment, token).build();
    assertThat(identitySent(valetkey)).isEqualTo("one.one.one");
    Path next = Files.createSymbolicLink(directory.resolve("..data_tmp"), Path.of("..two"));
    Files.move(next, data, StandardCopyOption.ATOMIC_MOVE);
    clock.advance(Duration.ofSeconds(300));
    assertThat(identitySent(valetkey)).isEqualTo("two.two.two");
  }

  @Test
  void identity_whenTheFileIsGoneForAMoment_keepsTheOldTokenAndSaysTryAgain() throws IOException {
    Path file = file("token", "a.b.c");
    environment.put("VALETKEY_TOKEN_FILE", file.toString());
    Destination openai = builder().build().destination("openai");
    AccessToken old = openai.token();
    Files.delete(file);
    clock.advance(Duration.ofSeconds(260));
    assertThat(openai.token()).isSameAs(old);
    clock.advance(Duration.ofSeconds(40));
    assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
  }

  @Test
  void urls_explicitOnesComeBeforeTheEnvironment() {
    environment.put("VALETKEY_URL", "https://other.example");
    environment.put("VALETKEY_GATEWAY_URL", "https://environment.example/base/");
    Valetkey.Builder builder = builder().identity(() -> "a.b.c").brokerUrl(broker.url() + "/");
    assertThat(builder.build().destination("openai").token()).isNotNull();
    assertThat(broker.paths).containsExactly("/oauth2/token");
    assertThat(builder.build().destination("openai").url("/v1"))
        .hasToString("https://environment.example/base/d/openai/v1");
    assertThat(
            builder.gatewayUrl("https://gw.example").build().destination("openai").url("/v1?a=b"))
        .hasToString("https://gw.example/d/openai/v1?a=b");
  }

  @Test
  void urls_withoutAGateway_tokensWorkAndAddressesSayWhatIsMissing() {
    Destination openai = builder().identity(() -> "a.b.c").build().destination("openai");
    assertThat(openai.token()).isNotNull();
    assertThatThrownBy(() -> openai.url("/v1"))
        .isInstanceOf(ConfigurationException.class)
        .hasMessageContaining("VALETKEY_GATEWAY_URL");
    assertThatThrownBy(openai::httpClient).isInstanceOf(ConfigurationException.class);
  }

  @Test
  void build_reportsAllMistakesTogether() {
    environment.remove("VALETKEY_URL");
    environment.put("VALETKEY_GATEWAY_URL", "http://gw.example");
    ConfigurationException e = refused(builder());
    assertThat(e.problems()).hasSize(3);
    assertThat(e).hasMessageContainingAll("VALETKEY_URL", "VALETKEY_GATEWAY_URL is plain http");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://broker.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.256",
        "http://127.1",
        "http://128.0.0.1",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "http://[::2]",
        "http://[::ffff:127.0.0.1]",
        "ftp://127.0.0.1",
        "//127.0.0.1",
        "https://",
        "https://user@broker.example",
        "https://broker.example?x=1",
        "https://broker.example#x",
        "https://broker.example/a/../b",
        "https://broker.example/a//b",
        "not a url"
      })
  void urls_thatCouldLeakATokenAreRefusedForBothServices(String url) {
    assertThat(refused(builder().identity(() -> "a.b.c").brokerUrl(url))).isNotNull();
    assertThat(refused(builder().identity(() -> "a.b.c").gatewayUrl(url))).isNotNull();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://127.0.0.1:8080",
        "http://127.255.3.9",
        "http://[::1]:8080/",
        "http://localhost",
        "http://LOCALHOST:1",
        "HTTPS://broker.example/base"
      })
  void urls_httpsAndLoopbackAreAccepted(String url) {
    assertThat(builder().identity(() -> "a.b.c").brokerUrl(url).gatewayUrl(url).build().toString())
        .isNotEmpty();
  }

  @Test
  void timeout_isBounded() {
    assertThatThrownBy(() -> builder().timeout(Duration.ZERO))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> builder().timeout(Duration.ofHours(1)))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
