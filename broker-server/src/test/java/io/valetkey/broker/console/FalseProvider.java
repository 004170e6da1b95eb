package io.valetkey.broker.console;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** An OpenID provider on a real socket that answers whatever a test wants it to answer. */
final class FalseProvider implements AutoCloseable {

  static final String CLIENT = "console";

  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpServer server;
  private final ECKey key;
  final List<Map<String, String>> redeemed = new CopyOnWriteArrayList<>();
  volatile Answer answer = exchange -> {};

  /** What the token endpoint does. */
  interface Answer {
    void to(HttpExchange exchange) throws IOException;
  }

  FalseProvider() throws Exception {
    key = new ECKeyGenerator(Curve.P_256).keyID("k1").generate();
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(workers);
    String discovery =
        """
        {"issuer":"%1$s","authorization_endpoint":"%1$s/authorize?tenant=a","token_endpoint":"%1$s/token",
        "jwks_uri":"%1$s/jwks","authorization_response_iss_parameter_supported":true}\
        """
            .formatted(issuer());
    server.createContext(
        "/.well-known/openid-configuration", exchange -> send(exchange, 200, discovery));
    server.createContext(
        "/jwks",
        exchange -> send(exchange, 200, "{\"keys\":[" + key.toPublicJWK().toJSONString() + "]}"));
    server.createContext("/token", this::token);
    server.start();
  }

  String issuer() {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  ECKey key() {
    return key;
  }

  private void token(HttpExchange exchange) throws IOException {
    String form = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    Map<String, String> fields = new HashMap<>();
    for (String field : form.split("&")) {
      String[] parts = field.split("=", 2);
      fields.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
    }
    redeemed.add(fields);
    answer.to(exchange);
    exchange.close();
  }

  static void send(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  /** From now on codes are redeemed for this ID token. */
  void give(String idToken) {
    String body =
        "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"id_token\":\"" + idToken + "\"}";
    answer = exchange -> send(exchange, 200, body);
  }

  /** The claims of a good ID token. */
  JWTClaimsSet.Builder claims(String nonce) {
    Instant now = Instant.now();
    return new JWTClaimsSet.Builder()
        .issuer(issuer())
        .subject("sub-of-olga")
        .audience(CLIENT)
        .issueTime(Date.from(now))
        .expirationTime(Date.from(now.plusSeconds(300)))
        .claim("nonce", nonce)
        .claim("roles", List.of("viewer"));
  }

  String sign(JWTClaimsSet claims) throws JOSEException {
    return sign(claims, key, "JWT");
  }

  static String sign(JWTClaimsSet claims, ECKey by, String typ) throws JOSEException {
    var jwt =
        new SignedJWT(
            new JWSHeader.Builder(JWSAlgorithm.ES256)
                .keyID("k1")
                .type(new JOSEObjectType(typ))
                .build(),
            claims);
    jwt.sign(new ECDSASigner(by));
    return jwt.serialize();
  }

  @Override
  public void close() {
    server.stop(0);
    workers.shutdownNow();
  }
}
