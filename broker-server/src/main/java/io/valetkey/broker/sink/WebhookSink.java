package io.valetkey.broker.sink;

import io.valetkey.broker.crypto.HmacSha256;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;

/**
 * Posts events in batches. Only an answer of 2xx counts as taken; a redirect is not followed. The
 * secrets are read for each batch, so they may be changed at any time.
 */
public final class WebhookSink implements Sink {

  private static final Duration TIMEOUT = Duration.ofSeconds(10);

  private final URI url;
  private final @Nullable Path bearerFile;
  private final @Nullable Path hmacFile;
  private final HttpClient client;

  /**
   * @param tls whom to trust
   * @param bearerFile holds the token for {@code Authorization}, if there is one
   * @param hmacFile holds the key for {@code Valetkey-Signature}, if there is one
   */
  public WebhookSink(URI url, SSLContext tls, @Nullable Path bearerFile, @Nullable Path hmacFile) {
    this.url = url;
    this.bearerFile = bearerFile;
    this.hmacFile = hmacFile;
    this.client =
        HttpClient.newBuilder()
            .sslContext(tls)
            .connectTimeout(TIMEOUT)
            .followRedirects(HttpClient.Redirect.NEVER)
            .build();
  }

  @Override
  public String name() {
    return "webhook";
  }

  @Override
  public void deliver(String batch, List<Event> events) throws IOException, InterruptedException {
    String body =
        events.stream()
            .map(Event::json)
            .collect(Collectors.joining(",", "{\"batch\":\"" + batch + "\",\"events\":[", "]}"));
    HttpRequest.Builder request =
        HttpRequest.newBuilder(url)
            .timeout(TIMEOUT)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", "\"" + batch + "\"")
            .POST(BodyPublishers.ofString(body));
    if (bearerFile != null) {
      request.header("Authorization", BearerFile.authorization(bearerFile));
    }
    if (hmacFile != null) {
      request.header("Valetkey-Signature", signature(Files.readString(hmacFile).strip(), body));
    }
    int status = client.send(request.build(), BodyHandlers.discarding()).statusCode();
    if (status / 100 != 2) {
      throw new IOException("the webhook answered " + status);
    }
  }

  /** The time and an HMAC-SHA-256 over {@code <seconds>.<body>}. */
  private static String signature(String key, String body) throws IOException {
    long seconds = Instant.now().getEpochSecond();
    try {
      byte[] hash = HmacSha256.of(key.getBytes(StandardCharsets.UTF_8), seconds + "." + body);
      return "t=" + seconds + ",v1=" + HexFormat.of().formatHex(hash);
    } catch (IllegalArgumentException e) {
      throw new IOException("the key of the webhook's signature cannot be used", e);
    }
  }
}
