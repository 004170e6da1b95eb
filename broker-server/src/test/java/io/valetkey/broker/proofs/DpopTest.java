package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.OctetSequenceKeyGenerator;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.proofs.Tokens.Answer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Proofs of possession at the token endpoint.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9449">RFC 9449</a>
 */
class DpopTest {

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static RunningBroker broker;
  private static RunningBroker replica;
  private static String uri;

  @BeforeAll
  static void start() throws Exception {
    broker = RunningBroker.start(Map.of());
    Tokens.writeOneAgent(broker, ISSUER);
    replica =
        broker.replica(
            Map.of(
                "valetkey.public-url", broker.url(),
                "valetkey.gateway.public-url", broker.gatewayUrl()));
    uri = broker.url() + "/oauth2/token";
  }

  @AfterAll
  static void stop() {
    replica.close();
    broker.close();
  }

  private static Answer ask(RunningBroker at, String... proofs) throws Exception {
    String[] headers = Stream.of(proofs).flatMap(p -> Stream.of("DPoP", p)).toArray(String[]::new);
    String identity = ISSUER.token("bot-subject", broker.url());
    return Tokens.ask(at.url(), Tokens.exchange(identity), headers);
  }

  private static void requireInvalidProof(Answer answer) throws Exception {
    assertThat(answer.hasToken()).as(answer.http().body()).isFalse();
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.error()).isEqualTo("invalid_dpop_proof");
    try (var database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT outcome, reason FROM audit_record WHERE decision_id = ?::uuid")) {
      statement.setString(1, answer.body().path("decision_id").asString());
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).isTrue();
        assertThat(rows.getString(1)).isEqualTo("refused");
        assertThat(rows.getString(2)).isEqualTo("invalid_dpop_proof");
      }
    }
  }

  @Test
  void rightProof_bindsTheTokenToItsKey() throws Exception {
    ECKey key = Proof.key();

    Answer answer = ask(broker, Proof.on(uri, key).sign());

    assertThat(answer.status()).as(answer.http().body()).isEqualTo(200);
    assertThat(answer.body().path("token_type").asString()).isEqualTo("DPoP");
    assertThat(answer.parsed().getJWTClaimsSet().getJSONObjectClaim("cnf"))
        .isEqualTo(Map.of("jkt", key.computeThumbprint().toString()));
  }

  @Test
  void noProof_bindsNothing() throws Exception {
    Answer answer = ask(broker);

    assertThat(answer.body().path("token_type").asString()).isEqualTo("Bearer");
    assertThat(answer.parsed().getJWTClaimsSet().getClaim("cnf")).isNull();
  }

  @Test
  void clientCredentials_areBoundToo() throws Exception {
    var form = Tokens.clientCredentials(ISSUER.token("bot-subject", broker.url()));

    Answer answer = Tokens.ask(broker.url(), form, "DPoP", Proof.on(uri).sign());

    assertThat(answer.body().path("token_type").asString()).isEqualTo("DPoP");
  }

  private static Date inSeconds(long seconds) {
    return Date.from(Instant.now().plusSeconds(seconds));
  }

  private static Arguments wrong(String what, Proof proof) {
    return Arguments.of(what, proof.sign());
  }

  static Stream<Arguments> wrongProofs() throws Exception {
    String right = Proof.on(uri).sign();
    return Stream.of(
        wrong("another method", Proof.on(uri).claim("htm", "GET")),
        wrong("method in lower case", Proof.on(uri).claim("htm", "post")),
        wrong("no method", Proof.on(uri).claim("htm", null)),
        wrong("another URI", Proof.on("https://elsewhere.test/oauth2/token")),
        wrong("another path", Proof.on(broker.url() + "/oauth2/revoke")),
        wrong("a longer URI", Proof.on(uri + "/x")),
        wrong("no URI", Proof.on(uri).claim("htu", null)),
        wrong("too old", Proof.on(uri).with(p -> p.claims.issueTime(inSeconds(-120)))),
        wrong("from the future", Proof.on(uri).with(p -> p.claims.issueTime(inSeconds(60)))),
        wrong("no time", Proof.on(uri).claim("iat", null)),
        wrong("time as text", Proof.on(uri).claim("iat", "now")),
        wrong("no jti", Proof.on(uri).claim("jti", null)),
        wrong("empty jti", Proof.on(uri).claim("jti", "")),
        wrong("endless jti", Proof.on(uri).claim("jti", "x".repeat(4000))),
        wrong("wrong typ", Proof.on(uri).with(p -> p.header.type(JOSEObjectType.JWT))),
        wrong("no typ", Proof.on(uri).with(p -> p.header.type(null))),
        wrong("kid beside the key", Proof.on(uri).with(p -> p.header.keyID("k"))),
        wrong("no key", Proof.on(uri).with(p -> p.header.jwk(null))),
        wrong("further header member", Proof.on(uri).with(p -> p.header.customParam("more", "x"))),
        wrong(
            "place of keys",
            Proof.on(uri)
                .with(p -> p.header.jwkURL(java.net.URI.create("https://elsewhere.test")))),
        wrong(
            "key of somebody else",
            Proof.on(uri).with(p -> p.header.jwk(Proof.key().toPublicJWK()))),
        Arguments.of("symmetric algorithm", symmetric()),
        Arguments.of("an algorithm that is not offered", rsa()),
        Arguments.of("no signature", unsigned(right)),
        Arguments.of("private key shown", privateKeyShown()),
        Arguments.of("tampered claims", tampered(right)),
        Arguments.of("cut signature", right.substring(0, right.length() - 4)),
        Arguments.of("no JWS", "x"),
        Arguments.of("two in one header", right + ", " + Proof.on(uri).sign()),
        Arguments.of("padding", right + "="));
  }

  private static String base64(String text) {
    return Base64.getUrlEncoder()
        .withoutPadding()
        .encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String symmetric() throws JOSEException {
    var key = new OctetSequenceKeyGenerator(256).generate();
    String header =
        "{\"typ\":\"dpop+jwt\",\"alg\":\"HS256\",\"jwk\":%s}".formatted(key.toJSONString());
    String input = base64(header) + "." + Proof.on(uri).sign().split("\\.")[1];
    return input
        + "."
        + new MACSigner(key)
            .sign(new JWSHeader(JWSAlgorithm.HS256), input.getBytes(StandardCharsets.UTF_8));
  }

  private static String rsa() throws JOSEException {
    var key = new RSAKeyGenerator(2048).generate();
    Proof proof = Proof.on(uri);
    var jwt =
        new SignedJWT(
            new JWSHeader.Builder(JWSAlgorithm.RS256)
                .type(new JOSEObjectType("dpop+jwt"))
                .jwk(key.toPublicJWK())
                .build(),
            proof.claims.build());
    jwt.sign(new RSASSASigner(key));
    return jwt.serialize();
  }

  private static String unsigned(String right) {
    String header =
        new String(Base64.getUrlDecoder().decode(right.split("\\.")[0]), StandardCharsets.UTF_8);
    return base64(header.replace("ES256", "none")) + "." + right.split("\\.")[1] + ".";
  }

  /** Signed by the library, which would not write such a header: so the header is put together. */
  private static String privateKeyShown() throws Exception {
    ECKey key = Proof.key();
    String header =
        "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":%s}".formatted(key.toJSONString());
    String input = base64(header) + "." + Proof.on(uri, key).sign().split("\\.")[1];
    return input
        + "."
        + new com.nimbusds.jose.crypto.ECDSASigner(key)
            .sign(new JWSHeader(JWSAlgorithm.ES256), input.getBytes(StandardCharsets.UTF_8));
  }

  private static String tampered(String right) {
    String[] parts = right.split("\\.");
    String claims = new String(Base64.getUrlDecoder().decode(parts[1]), StandardCharsets.UTF_8);
    return parts[0] + "." + base64(claims.replace("\"POST\"", "\"POST\" ")) + "." + parts[2];
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("wrongProofs")
  void wrongProof_isInvalid_andNoTokenIsIssued(String what, String proof) throws Exception {
    requireInvalidProof(ask(broker, proof));
  }

  @Test
  void twoHeaders_areInvalid_evenIfBothAreRight() throws Exception {
    requireInvalidProof(ask(broker, Proof.on(uri).sign(), Proof.on(uri).sign()));
  }

  @Test
  void replay_isInvalid_hereAndAtEveryReplica() throws Exception {
    String proof = Proof.on(uri).sign();
    assertThat(ask(broker, proof).hasToken()).isTrue();

    requireInvalidProof(ask(broker, proof));
    requireInvalidProof(ask(replica, proof));
    assertThat(ask(replica, Proof.on(uri).sign()).hasToken())
        .as("the replica takes a proof that is new")
        .isTrue();
  }

  @Test
  void oneProof_atBothReplicasAtTheSameTime_isWorthOneToken() throws Exception {
    for (int round = 0; round < 10; round++) {
      String proof = Proof.on(uri).sign();
      try (var clients = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Callable<Answer>> requests =
            Stream.of(broker, replica, broker, replica)
                .map(at -> (Callable<Answer>) () -> ask(at, proof))
                .toList();
        long granted = 0;
        for (var answer : clients.invokeAll(requests)) {
          granted += answer.get().hasToken() ? 1 : 0;
        }
        assertThat(granted).isEqualTo(1);
      }
    }
  }

  @Test
  void metadata_namesTheAlgorithmsThatWork() throws Exception {
    var metadata = Tokens.get(broker.api("/.well-known/oauth-authorization-server")).body();

    assertThat(metadata.path("dpop_signing_alg_values_supported").toString())
        .isEqualTo("[\"ES256\",\"EdDSA\"]");
  }
}
