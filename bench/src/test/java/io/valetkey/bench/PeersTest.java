package io.valetkey.bench;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;
import io.valetkey.realparts.NeedsPrograms;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** That the peers which are said to verify tokens do: who does not is no peer. */
class PeersTest {

  private static final String AUDIENCE = "http://gateway.test/d/dest-0";

  @TempDir private Path folder;

  private final ECKey key = key("a");

  @Test
  @NeedsPrograms("haproxy")
  void haProxy_whenTheTokenIsNotGood_refuses() throws Exception {
    Path pem = AccessTokens.write(key.toECPublicKey(), folder.resolve("tokens.pem"));
    var certificates = Certificates.create(folder);
    int port = ServerProcess.freePort();
    try (var upstream = upstream(certificates);
        var _ = HaProxy.proxy(folder, port, setting(certificates, upstream), pem, AUDIENCE)) {
      requireThatItVerifies(port, Files.readAllBytes(pem));
    }
  }

  @Test
  void springCloudGateway_whenTheTokenIsNotGood_refuses() throws Exception {
    var certificates = Certificates.create(folder);
    int port = ServerProcess.freePort();
    HttpServer keys =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    byte[] published = new JWKSet(key.toPublicJWK()).toString().getBytes(US_ASCII);
    keys.createContext(
        "/",
        exchange -> {
          exchange.sendResponseHeaders(200, published.length);
          exchange.getResponseBody().write(published);
          exchange.close();
        });
    keys.start();
    String url = "http://127.0.0.1:" + keys.getAddress().getPort() + "/";
    try (AutoCloseable _ = () -> keys.stop(0);
        var upstream = upstream(certificates);
        var _ = Servers.gatewayPeer(folder, port, setting(certificates, upstream), url, AUDIENCE)) {
      requireThatItVerifies(port, key.toECPublicKey().getEncoded());
    }
  }

  private void requireThatItVerifies(int port, byte[] publicKey) throws Exception {
    Map<String, String> bad = new LinkedHashMap<>();
    bad.put("no token", "");
    bad.put("another key", signed(key("a"), AUDIENCE, 300));
    bad.put("another audience", signed(key, "http://gateway.test/d/dest-1", 300));
    bad.put("ended", signed(key, AUDIENCE, -300));
    bad.put("not signed", new PlainJWT(claims(AUDIENCE, 300)).serialize());
    bad.put(
        "the public key as a secret", signed(JWSAlgorithm.HS256, new MACSigner(publicKey), 300));
    String good = signed(key, AUDIENCE, 300);
    String[] parts = good.split("\\.", -1);
    String other = new PlainJWT(claims(AUDIENCE, 3000)).serialize().split("\\.", -1)[1];
    bad.put("other claims", parts[0] + "." + other + "." + parts[2]);

    assertThat(status(port, good)).isEqualTo(200);
    for (Map.Entry<String, String> token : bad.entrySet()) {
      assertThat(status(port, token.getValue())).as(token.getKey()).isEqualTo(401);
    }
  }

  private static int status(int port, String token) throws Exception {
    try (HttpClient http = HttpClient.newHttpClient()) {
      var request =
          HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/v1/models"))
              .version(HttpClient.Version.HTTP_1_1);
      if (!token.isEmpty()) {
        request.header("Authorization", "Bearer " + token);
      }
      return http.send(request.build(), BodyHandlers.discarding()).statusCode();
    }
  }

  private String signed(ECKey by, String audience, int seconds) throws JOSEException {
    return sign(JWSAlgorithm.ES256, new ECDSASigner(by), claims(audience, seconds));
  }

  private String signed(JWSAlgorithm algorithm, JWSSigner signer, int seconds)
      throws JOSEException {
    return sign(algorithm, signer, claims(AUDIENCE, seconds));
  }

  private String sign(JWSAlgorithm algorithm, JWSSigner signer, JWTClaimsSet claims)
      throws JOSEException {
    var token =
        new SignedJWT(new JWSHeader.Builder(algorithm).keyID(key.getKeyID()).build(), claims);
    token.sign(signer);
    return token.serialize();
  }

  private static JWTClaimsSet claims(String audience, int seconds) {
    return new JWTClaimsSet.Builder()
        .subject("agent-0")
        .audience(audience)
        .expirationTime(Date.from(Instant.now().plusSeconds(seconds)))
        .build();
  }

  private static ECKey key(String id) {
    try {
      return new ECKeyGenerator(Curve.P_256).keyID(id).generate();
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
  }

  private static StreamUpstream upstream(Certificates certificates) {
    return new StreamUpstream(
        certificates.certificate(), certificates.key(), Duration.ofSeconds(10));
  }

  private static Scene.Setting setting(Certificates certificates, StreamUpstream upstream) {
    return new Scene.Setting(
        certificates, CallerLeg.PLAIN, false, false, upstream.port(), "sk-real");
  }
}
