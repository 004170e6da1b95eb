package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Nothing in an unverified token causes a connection: a listener that every address in the token
 * points to is never called.
 */
class UnregisteredIssuerTest {

  private static final TestIssuer REGISTERED = new TestIssuer("ci");
  private final AtomicInteger connections = new AtomicInteger();
  private RunningBroker broker;
  private ServerSocket listener;

  @BeforeEach
  void start() throws Exception {
    broker = RunningBroker.start(Map.of());
    Tokens.writeOneAgent(broker, REGISTERED);
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual()
        .start(() -> {
          while (!listener.isClosed()) {
            try (var connection = listener.accept()) {
              connections.incrementAndGet();
            } catch (java.io.IOException e) {
              return;
            }
          }
        });
  }

  @AfterEach
  void stop() throws Exception {
    listener.close();
    broker.close();
  }

  private String token(String scheme, String issuer, ECKey key) throws Exception {
    URI there = URI.create(scheme + "://127.0.0.1:" + listener.getLocalPort());
    var header =
        new JWSHeader.Builder(JWSAlgorithm.ES256)
            .keyID(there + "/key")
            .jwkURL(there.resolve("/jku"))
            .x509CertURL(there.resolve("/x5u"))
            .build();
    return sign(header, issuer == null ? there.toString() : issuer, key);
  }

  private String sign(JWSHeader header, String issuer, ECKey key) throws Exception {
    var claims =
        new JWTClaimsSet.Builder()
            .issuer(issuer)
            .subject("bot-subject")
            .audience(broker.url())
            .issueTime(Date.from(Instant.now()))
            .expirationTime(Date.from(Instant.now().plusSeconds(300)))
            .jwtID(UUID.randomUUID().toString())
            .claim("jwks_uri", "http://127.0.0.1:" + listener.getLocalPort() + "/jwks");
    var token = new SignedJWT(header, claims.build());
    token.sign(new ECDSASigner(key));
    return token.serialize();
  }

  @Test
  void addressesInAnUnverifiedToken_areNeverCalled() throws Exception {
    ECKey key = Proof.key();
    String bare = "http://127.0.0.1:" + listener.getLocalPort();
    var plain = new JWSHeader.Builder(JWSAlgorithm.ES256).keyID("k").build();
    for (String identity :
        List.of(
            token("http", null, key),
            token("https", null, key),
            token("http", "https://ci.test", key),
            sign(plain, bare, key),
            sign(plain, "https://127.0.0.1:" + listener.getLocalPort(), key))) {
      assertThat(Tokens.ask(broker.url(), Tokens.exchange(identity)).status()).isEqualTo(400);
      assertThat(Tokens.ask(broker.url(), Tokens.clientCredentials(identity)).status())
          .isEqualTo(401);
    }

    assertThat(connections).hasValue(0);
  }

  @Test
  void listener_isCalledOnceItsIssuerIsRegistered() throws Exception {
    // Shows that the test above would notice: the same address, named by the policy, is called.
    String there = "http://127.0.0.1:" + listener.getLocalPort();
    new io.valetkey.broker.Policies(broker)
        .write(
            "issuer",
            "named",
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            "named",
            "{\"type\":\"oidc\",\"issuer\":\"%s\",\"keys\":{\"jwksUri\":\"%s/jwks\"}}"
                .formatted(there, there),
            there)
        .await(broker);
    var plain = new JWSHeader.Builder(JWSAlgorithm.ES256).keyID("k").build();

    assertThat(Tokens.ask(broker.url(), Tokens.exchange(sign(plain, there, Proof.key()))).status())
        .isEqualTo(503);

    assertThat(connections.get()).isPositive();
  }
}
