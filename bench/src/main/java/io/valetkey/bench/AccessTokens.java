package io.valetkey.bench;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jwt.SignedJWT;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PublicKey;
import java.text.ParseException;
import java.util.Base64;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;

/** Access tokens of a running broker, got by the ordinary way, and the key that verifies them. */
final class AccessTokens implements AutoCloseable {

  private final HttpClient http = HttpClient.newHttpClient();
  private final IdentityIssuer issuer;
  private final String url;
  private final String resource;

  /**
   * Makes a source of tokens.
   *
   * @param url the broker
   * @param resource what the tokens are for
   */
  AccessTokens(IdentityIssuer issuer, String url, String resource) {
    this.issuer = issuer;
    this.url = url;
    this.resource = resource;
  }

  /** A new token of a subject. */
  String token(String subject) throws IOException, InterruptedException {
    String form =
        TokenRequests.exchange(List.of(issuer.token(subject, url)), resource).nextBody().toString();
    var request =
        HttpRequest.newBuilder(URI.create(url + "/oauth2/token"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(form))
            .build();
    String answer = http.send(request, BodyHandlers.ofString()).body();
    String token = JsonMapper.shared().readTree(answer).path("access_token").stringValue("");
    if (token.isEmpty()) {
      throw new IllegalStateException("no token: " + answer);
    }
    return token;
  }

  /** What they are for: their audience. */
  String resource() {
    return resource;
  }

  /** Where the keys are published. */
  String keysUrl() {
    return url + "/oauth2/jwks";
  }

  /** Writes the key that verifies this token, as PEM. */
  Path writeKey(String token, Path file)
      throws IOException, ParseException, JOSEException, InterruptedException {
    String keys =
        http.send(
                HttpRequest.newBuilder(URI.create(keysUrl())).build(),
                BodyHandlers.ofString(StandardCharsets.UTF_8))
            .body();
    String id = SignedJWT.parse(token).getHeader().getKeyID();
    return write(JWKSet.parse(keys).getKeyByKeyId(id).toECKey().toPublicKey(), file);
  }

  /** Writes a key as PEM. */
  static Path write(PublicKey key, Path file) throws IOException {
    String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getEncoded());
    return Files.writeString(
        file, "-----BEGIN PUBLIC KEY-----\n" + text + "\n-----END PUBLIC KEY-----\n");
  }

  @Override
  public void close() {
    http.close();
  }
}
