package io.valetkey.client.testing;

import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** The access tokens of one fake: issues them, counts them, and knows which are still good. */
final class FakeTokens {
  private final TokenSigner signer;
  private final String brokerUrl;
  private final String gatewayUrl;
  private final Duration life;
  private final Clock clock;
  private final AtomicInteger issued = new AtomicInteger();
  private final Map<String, Issued> good = new ConcurrentHashMap<>();

  private record Issued(String destination, long expiresAtSeconds) {}

  FakeTokens(TokenSigner signer, String brokerUrl, String gatewayUrl, Duration life, Clock clock) {
    this.signer = signer;
    this.brokerUrl = brokerUrl;
    this.gatewayUrl = gatewayUrl;
    this.life = life;
    this.clock = clock;
  }

  String issue(String destination, String scope) {
    long now = clock.instant().getEpochSecond();
    long expires = now + life.toSeconds();
    String claims =
        String.format(
            "{\"iss\":\"%s\",\"sub\":\"urn:valetkey:fake:workload\",\"client_id\":\"fake-agent\","
                + "\"aud\":\"%s\",\"exp\":%d,\"iat\":%d,\"jti\":\"%s\",\"scope\":\"%s\","
                + "\"wid\":{\"issuer\":\"fake\",\"subject\":\"fake-agent\"}}",
            brokerUrl, audience(destination), expires, now, UUID.randomUUID(), scope);
    String token = signer.sign("at+jwt", claims);
    issued.incrementAndGet();
    good.put(token, new Issued(destination, expires));
    return token;
  }

  /** Our signature, this destination as the only audience, and not at its end. */
  boolean isGood(String token, String destination) {
    Issued claims = signer.isOurs(token) ? good.get(token) : null;
    return claims != null
        && claims.destination().equals(destination)
        && clock.instant().getEpochSecond() < claims.expiresAtSeconds();
  }

  void expireAll() {
    good.clear();
  }

  String audience(String destination) {
    return gatewayUrl + "/d/" + destination;
  }

  Duration life() {
    return life;
  }

  int issued() {
    return issued.get();
  }
}
