package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.sun.net.httpserver.HttpExchange;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What providers that trust our issuer have in common, and the Vault that signs for it. */
final class FederationTrust {

  private FederationTrust() {}

  /** A Vault with the key of the issuer. */
  static RealVault vault() throws Exception {
    RealVault vault = RealVault.startOwn();
    vault.send("POST", "sys/mounts/transit", Map.of("type", "transit"));
    vault.send("POST", "transit/keys/federation", Map.of("type", "rsa-2048"));
    vault.policy(
        "federation",
        """
        path "transit/keys/federation" { capabilities = ["read"] }
        path "transit/sign/federation/sha2-256" { capabilities = ["update"] }
        """);
    return vault;
  }

  /** What a broker needs to know to sign there, with destinations on this machine. */
  static Map<String, String> settings(RealVault vault, String authorities) throws Exception {
    return Map.of(
        "valetkey.vault.uri",
        vault.uri().toString(),
        "valetkey.vault.token",
        vault.createToken("federation", Duration.ofHours(1)),
        "valetkey.federation.transit-key",
        "transit/federation",
        "valetkey.gateway.private-origins",
        "127.0.0.0/8,::1/128",
        "valetkey.gateway.trusted-certificates",
        authorities);
  }

  static Map<String, String> form(String body) {
    Map<String, String> form = new HashMap<>();
    for (String pair : body.split("&")) {
      String[] parts = pair.split("=", 2);
      form.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
    }
    return form;
  }

  static void answer(HttpExchange exchange, int status, String type, String body)
      throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", type);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  /**
   * Verifies an assertion, knowing no more of its issuer than the address.
   *
   * @param exact claims that must have these values
   * @param required claims that must be there
   */
  static JWTClaimsSet verify(
      String issuer,
      String assertion,
      Set<JWSAlgorithm> algorithms,
      String audience,
      JWTClaimsSet exact,
      Set<String> required)
      throws Exception {
    URI discovery = URI.create(issuer + "/.well-known/openid-configuration");
    JsonNode discovered =
        JsonMapper.shared()
            .readTree(
                HttpClient.newHttpClient()
                    .send(HttpRequest.newBuilder(discovery).build(), BodyHandlers.ofString())
                    .body());
    assertThat(discovered.path("issuer").asString()).isEqualTo(issuer);
    var processor = new DefaultJWTProcessor<>();
    processor.setJWSKeySelector(
        new JWSVerificationKeySelector<>(
            algorithms,
            JWKSourceBuilder.create(URI.create(discovered.path("jwks_uri").asString()).toURL())
                .build()));
    processor.setJWTClaimsSetVerifier(new DefaultJWTClaimsVerifier<>(audience, exact, required));
    return processor.process(assertion, null);
  }
}
