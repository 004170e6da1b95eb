package io.valetkey.broker.identity;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSVerifier;
import io.valetkey.broker.MovableClock;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.json.JsonMapper;

/**
 * A counterpart of every case of Wycheproof's JWS, JWK and JWE files (testdata/README.md): by our
 * own decoder alone, and through the whole verifier with the keys fetched over a real socket.
 * Invariants: I2, I3.
 */
class WycheproofTest {

  private static final Path FILE = Path.of("../testdata/jws/wycheproof.json");
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Where no key fits, the verifier says so only after it has looked for one. */
  private static final Set<ProblemCode> REFUSALS =
      Set.of(
          ProblemCode.TOKEN_MALFORMED,
          ProblemCode.ALGORITHM_NOT_ALLOWED,
          ProblemCode.KEY_UNKNOWN,
          ProblemCode.SIGNATURE_INVALID,
          ProblemCode.ISSUER_UNAVAILABLE);

  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    server = new TestServer();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  /**
   * One case.
   *
   * @param result what Wycheproof expects of a JWS library
   * @param signature what our decoder says of the signature
   * @param accepted whether it is an identity token to us
   */
  record Vector(
      String id,
      List<String> wycheproof,
      String result,
      boolean signature,
      boolean accepted,
      List<String> algorithms,
      List<?> keys,
      String jws) {

    @SuppressWarnings("unchecked")
    static Vector of(Map<String, ?> json) {
      return new Vector(
          (String) json.get("id"),
          (List<String>) json.get("wycheproof"),
          (String) json.get("result"),
          (boolean) json.get("signature"),
          (boolean) json.get("accepted"),
          (List<String>) json.get("algorithms"),
          (List<?>) json.get("keys"),
          (String) json.get("jws"));
    }

    /** The same for an issuer that can be registered: it may have any asymmetric algorithm. */
    Vector withAsymmetricAlgorithms() {
      return new Vector(
          id, wycheproof, result, signature, accepted, List.of("ES256", "RS256"), keys, jws);
    }

    @Override
    public String toString() {
      return id;
    }
  }

  private static Map<String, ?> document() throws Exception {
    return StrictJson.object(Files.readAllBytes(FILE));
  }

  @SuppressWarnings("unchecked")
  static Stream<Vector> vectors() throws Exception {
    return ((List<Map<String, ?>>) document().get("tests")).stream().map(Vector::of);
  }

  @Test
  void vectors_haveACounterpartOfEveryCase_andNeverAcceptWhatWycheproofRefuses() throws Exception {
    Set<String> covered = new LinkedHashSet<>();
    vectors()
        .forEach(vector -> {
          vector.wycheproof().forEach(cases -> covered.addAll(each(cases)));
          if (!vector.result().equals("valid")) {
            assertThat(vector.signature()).as(vector.id()).isFalse();
          }
          assertThat(!vector.accepted() || vector.signature()).as(vector.id()).isTrue();
        });
    assertThat(covered).containsExactlyInAnyOrderElementsOf(all());
  }

  /** Of the files as they were read: their {@code numberOfTests}. */
  private static List<String> all() {
    List<String> all = new ArrayList<>();
    Map.of("jws", 401, "jwk", 26, "crypto", 83)
        .forEach((file, last) -> all.addAll(each(file + ":1-" + last)));
    return all;
  }

  private static List<String> each(String cases) {
    String file = cases.substring(0, cases.indexOf(':') + 1);
    String[] bounds = cases.substring(file.length()).split("-");
    return IntStream.rangeClosed(
            Integer.parseInt(bounds[0]), Integer.parseInt(bounds[bounds.length - 1]))
        .mapToObj(number -> file + number)
        .toList();
  }

  @ParameterizedTest
  @MethodSource("vectors")
  void decoder_acceptsTheSignatureExactlyIfItShould(Vector vector) {
    for (String provider : List.of("jdk", "auto")) {
      assertThat(fits(vector, CryptoProvider.select(provider)))
          .as(provider)
          .isEqualTo(vector.signature());
    }
  }

  private static boolean fits(Vector vector, CryptoProvider crypto) {
    try {
      CompactJws.Parts parts = CompactJws.Parts.of(vector.jws());
      Map<String, ?> header = StrictJson.object(parts.header());
      String alg = String.valueOf(header.get("alg"));
      if (!vector.algorithms().contains(alg)) {
        return false; // step 3
      }
      Set<String> uses = new HashSet<>(Arrays.asList(null, "sig"));
      Set<String> algorithms = Set.copyOf(vector.algorithms());
      KeySet keys = KeySet.of(Map.of("keys", vector.keys()), uses, algorithms, crypto);
      JWSVerifier key = keys.candidate((String) header.get("kid"), alg);
      return key != null && parts.signedBy(key, JWSAlgorithm.parse(alg));
    } catch (RefusedException e) {
      assertThat(e.code()).isEqualTo(ProblemCode.TOKEN_MALFORMED);
      return false;
    }
  }

  @ParameterizedTest
  @MethodSource("vectors")
  void verify_acceptsTheTokenExactlyIfItShould(Vector vector) throws Exception {
    Map<String, ?> document = document();
    TrustedIssuer issuer;
    try {
      issuer = issuer((String) document.get("issuer"), vector);
    } catch (IllegalArgumentException e) {
      assertThat(e).hasMessageContaining("asymmetric"); // HS256, none, A256KW
      assertThat(vector.accepted()).isFalse();
      issuer = issuer((String) document.get("issuer"), vector.withAsymmetricAlgorithms());
    }
    server.answers(200, JSON.writeValueAsString(Map.of("keys", vector.keys())));
    Instant now = Instant.ofEpochSecond(((Number) document.get("now")).longValue());
    IdentityVerifier verifier =
        new IdentityVerifier(
            new TestIssuers().with(issuer),
            (String) document.get("audience"),
            TestIssuer.CRYPTO,
            address -> true,
            true,
            new MovableClock(now));
    boolean accepted;
    try {
      accepted = verifier.verify(vector.jws()).subject().equals("workload");
    } catch (RefusedException e) {
      assertThat(e.code()).as(e.detail()).isIn(REFUSALS);
      accepted = false;
    }
    assertThat(accepted).isEqualTo(vector.accepted());
  }

  private static TrustedIssuer issuer(String iss, Vector vector) {
    return new TrustedIssuer(
        "wycheproof",
        TrustedIssuer.Type.OIDC,
        iss,
        new KeySource.JwksUri(server.uri("/jwks"), server.tls()),
        Set.copyOf(vector.algorithms()),
        Duration.ofHours(1),
        false,
        null,
        null,
        true,
        1);
  }
}
