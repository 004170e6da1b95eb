package io.valetkey.broker.identity;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSVerifier;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The vectors of testdata/jws, by way of our own decoder and our own key set, on both providers.
 */
class SignatureVectorsTest {

  static Stream<Map<?, ?>> vectors() throws Exception {
    Path file = Path.of("../testdata/jws/signatures.json");
    List<?> tests = (List<?>) StrictJson.object(Files.readAllBytes(file)).get("tests");
    return tests.stream().map(test -> (Map<?, ?>) test);
  }

  @ParameterizedTest
  @MethodSource("vectors")
  void vector_isAcceptedExactlyIfValid(Map<?, ?> vector) {
    for (String provider : List.of("jdk", "auto")) {
      assertThat(accepted(vector, CryptoProvider.select(provider)))
          .as("%s on %s", vector.get("comment"), provider)
          .isEqualTo(vector.get("result").equals("valid"));
    }
  }

  private static boolean accepted(Map<?, ?> vector, CryptoProvider crypto) {
    String algorithm = (String) vector.get("algorithm");
    try {
      CompactJws.Parts parts = CompactJws.Parts.of((String) vector.get("jws"));
      if (!algorithm.equals(StrictJson.object(parts.header()).get("alg"))) {
        return false; // step 3
      }
      KeySet keys =
          KeySet.of(
              Map.of("keys", List.of(vector.get("jwk"))),
              new HashSet<>(Arrays.asList(null, "sig")),
              Set.of(algorithm),
              crypto);
      JWSVerifier key = keys.candidate(null, algorithm);
      return key != null && parts.signedBy(key, JWSAlgorithm.parse(algorithm));
    } catch (RefusedException e) {
      assertThat(e.code()).isEqualTo(ProblemCode.TOKEN_MALFORMED);
      return false;
    }
  }
}
