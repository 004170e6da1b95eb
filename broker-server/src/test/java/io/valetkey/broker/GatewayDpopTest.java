package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.realparts.TestAuthority;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** A token that is bound to a key is worth nothing without the key (RFC 9449), gateway included. */
class GatewayDpopTest {

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  @TempDir private static Path folder;
  private static ProviderUpstream upstream;
  private static RunningBroker broker;
  private static HttpClient client;

  @BeforeAll
  static void start() throws Exception {
    TestAuthority authority = TestAuthority.create("providers");
    upstream = new ProviderUpstream(authority);
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("openai"), "sk-real");
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.file-source.directory",
                files.toString(),
                "valetkey.gateway.host-suffix",
                "gateway.test",
                "valetkey.gateway.private-origins",
                "127.0.0.0/8,::1/128",
                "valetkey.gateway.trusted-certificates",
                authority.writePem(folder).toString()));
    client = HttpClient.newHttpClient();
    String spec =
        "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":"
            + "{\"source\":\"file\",\"name\":\"openai\"}}";
    new Policies(broker)
        .issuer(ISSUER)
        .agent("bot", "ci", "bot-subject", "")
        .destination("openai", spec.formatted(upstream.origin()))
        .destination(
            "ourselves", spec.formatted("https://localhost:" + URI.create(broker.url()).getPort()))
        .scope(
            "openai",
            "chat",
            "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/v1/chat/completions\"]}]}")
        .scope("ourselves", "all", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/**\"]}]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .grant("bot-ourselves", "bot", "ourselves", List.of("all"))
        .await(broker);
  }

  @AfterAll
  static void stop() {
    client.close();
    broker.close();
    upstream.close();
  }

  private static String proof(ECKey key, String uri, String token) throws Exception {
    var claims =
        new JWTClaimsSet.Builder()
            .jwtID(UUID.randomUUID().toString())
            .claim("htm", "POST")
            .claim("htu", uri)
            .issueTime(new Date());
    if (token != null) {
      byte[] hash =
          MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.US_ASCII));
      claims.claim("ath", Base64.getUrlEncoder().withoutPadding().encodeToString(hash));
    }
    var jwt =
        new SignedJWT(
            new JWSHeader.Builder(JWSAlgorithm.ES256)
                .type(new JOSEObjectType("dpop+jwt"))
                .jwk(key.toPublicJWK())
                .build(),
            claims.build());
    jwt.sign(new ECDSASigner(key));
    return jwt.serialize();
  }

  private static String token(String destination, String proof) throws Exception {
    var request =
        HttpRequest.newBuilder(broker.api("/oauth2/token"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(
                BodyPublishers.ofString(
                    "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience="
                        + destination
                        + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token="
                        + ISSUER.token("bot-subject", broker.url())));
    if (proof != null) {
      request.header("DPoP", proof);
    }
    String body = client.send(request.build(), BodyHandlers.ofString()).body();
    return JsonMapper.shared().readTree(body).path("access_token").asString();
  }

  private static HttpResponse<String> chat(String authorization, String... proofs)
      throws Exception {
    var request =
        HttpRequest.newBuilder(broker.gateway("/d/openai/v1/chat/completions"))
            .header("Authorization", authorization)
            .POST(BodyPublishers.ofString("{}"));
    for (String proof : proofs) {
      request.header("DPoP", proof);
    }
    return client.send(request.build(), BodyHandlers.ofString());
  }

  @Test
  void boundToken_passesOnlyWithAFreshProofOfItsKey() throws Exception {
    ECKey key = new ECKeyGenerator(Curve.P_256).generate();
    ECKey other = new ECKeyGenerator(Curve.P_256).generate();
    String uri = broker.gatewayUrl() + "/d/openai/v1/chat/completions";
    String token = token("openai", proof(key, broker.url() + "/oauth2/token", null));
    String good = proof(key, uri, token);

    HttpResponse<String> answer = chat("DPoP " + token, good);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(upstream.last()).doesNotContainKey("Dpop");

    assertThat(chat("DPoP " + token, good).statusCode()).as("replayed").isEqualTo(401);
    assertThat(chat("Bearer " + token).statusCode()).as("as bearer").isEqualTo(401);
    assertThat(chat("DPoP " + token).statusCode()).as("no proof").isEqualTo(401);
    assertThat(chat("Bearer " + token, proof(key, uri, token)).statusCode()).isEqualTo(401);
    assertThat(chat("DPoP " + token, proof(other, uri, token)).statusCode())
        .as("another key")
        .isEqualTo(401);
    assertThat(chat("DPoP " + token, proof(key, uri + "x", token)).statusCode())
        .as("another address")
        .isEqualTo(401);
    assertThat(chat("DPoP " + token, proof(key, uri, token + "x")).statusCode())
        .as("another token")
        .isEqualTo(401);
    assertThat(chat("DPoP " + token, proof(key, uri, token), proof(key, uri, token)).statusCode())
        .as("two proofs")
        .isEqualTo(401);
  }

  /** At a destination's own host a proof is for that host, and for nothing else. */
  @Test
  void boundToken_atTheHostOfItsDestination_needsAProofForThatAddress() throws Exception {
    ECKey key = new ECKeyGenerator(Curve.P_256).generate();
    String token = token("openai", proof(key, broker.url() + "/oauth2/token", null));
    String path = "/v1/chat/completions";
    String host = "openai.gateway.test:" + URI.create(broker.gatewayUrl()).getPort();

    assertThat(statusAt(host, path, token, proof(key, "http://" + host + path, token)))
        .isEqualTo("HTTP/1.1 200");
    String byPath = broker.gatewayUrl() + "/d/openai" + path;
    assertThat(statusAt(host, path, token, proof(key, byPath, token))).isEqualTo("HTTP/1.1 401");
  }

  private static String statusAt(String host, String path, String token, String proof)
      throws Exception {
    try (var socket = new Socket("127.0.0.1", URI.create(broker.gatewayUrl()).getPort())) {
      socket
          .getOutputStream()
          .write(
              ("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: DPoP %s\r\nDPoP: %s\r\n"
                      + "Content-Length: 2\r\nConnection: close\r\n\r\n{}")
                  .formatted(path, host, token, proof)
                  .getBytes(StandardCharsets.US_ASCII));
      byte[] answer = socket.getInputStream().readAllBytes();
      return new String(answer, StandardCharsets.ISO_8859_1).substring(0, 12);
    }
  }

  @Test
  void bearerToken_withTheSchemeOfABoundOne_isRefused() throws Exception {
    ECKey key = new ECKeyGenerator(Curve.P_256).generate();
    String token = token("openai", null);
    String uri = broker.gatewayUrl() + "/d/openai/v1/chat/completions";

    assertThat(chat("DPoP " + token, proof(key, uri, token)).statusCode()).isEqualTo(401);
    assertThat(chat("Bearer " + token).statusCode()).isEqualTo(200);
  }

  @Test
  void destinationThatLeadsToOurselves_isRefusedThoughLoopbackIsAllowed() throws Exception {
    String token = token("ourselves", null);
    var request =
        HttpRequest.newBuilder(broker.gateway("/d/ourselves/oauth2/jwks"))
            .header("Authorization", "Bearer " + token)
            .build();

    HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());

    assertThat(answer.statusCode()).isEqualTo(502);
    assertThat(answer.headers().firstValue("Valetkey-Error")).contains("upstream_address_refused");
  }
}
