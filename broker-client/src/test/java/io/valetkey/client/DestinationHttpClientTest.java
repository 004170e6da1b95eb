package io.valetkey.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.client.testing.Answer;
import io.valetkey.client.testing.FakeValetkey;
import io.valetkey.client.testing.ReceivedRequest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where the token goes, where it never goes, and what happens when the gateway refuses it. */
class DestinationHttpClientTest {
  private final FakeValetkey fake = FakeValetkey.start();
  private final Destination openai = fake.connect().destination("openai");
  private final HttpClient http = openai.httpClient();

  @AfterEach
  void stop() {
    fake.close();
  }

  private static HttpRequest get(URI url) {
    return HttpRequest.newBuilder(url).build();
  }

  private HttpResponse<String> post(BodyPublisher body, boolean async) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(openai.url("/v1/chat")).POST(body).build();
    return async
        ? http.sendAsync(request, BodyHandlers.ofString()).get()
        : http.send(request, BodyHandlers.ofString());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void send_toTheDestination_carriesTheTokenInPlaceOfAnyOther(boolean async) throws Exception {
    fake.answer("openai", request -> Answer.json("{\"path\":\"" + request.path() + "\"}"));
    HttpRequest request =
        HttpRequest.newBuilder(openai.url("/v1/models?limit=2"))
            .header("Authorization", "Bearer dummy")
            .header("X-Mine", "kept")
            .build();
    HttpResponse<String> answer =
        async
            ? http.sendAsync(request, BodyHandlers.ofString()).get()
            : http.send(request, BodyHandlers.ofString());
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo("{\"path\":\"/v1/models?limit=2\"}");
    ReceivedRequest received = fake.received().get(0);
    assertThat(received.headers()).containsKey("x-mine").doesNotContainKey("authorization");
  }

  @Test
  void send_answerRefersToTheRequestWithoutTheToken() throws Exception {
    HttpRequest request = get(openai.url("/v1"));
    HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());
    assertThat(answer.request()).isSameAs(request);
    String token = openai.token().value();
    assertThat(answer.request().headers().toString()).doesNotContain(token);
    assertThat(answer.toString() + http).doesNotContain(token);
  }

  @Test
  void send_toAnotherOrigin_carriesNoToken() throws Exception {
    try (RawServer other = new RawServer()) {
      URI url = URI.create(other.url() + "/d/openai/v1");
      http.send(get(url), BodyHandlers.discarding());
      http.sendAsync(get(url), BodyHandlers.discarding()).get();
      assertThat(other.authorizations).containsExactly("null", "null");
      assertThat(fake.tokenRequests()).isZero();
    }
  }

  @Test
  void send_whenRedirected_doesNotFollow() throws Exception {
    try (RawServer other = new RawServer()) {
      fake.answer("openai", Answer.status(307).with("Location", other.url() + "/d/openai/x"));
      assertThat(http.send(get(openai.url("/v1")), BodyHandlers.discarding()).statusCode())
          .isEqualTo(307);
      assertThat(other.paths).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/d/openai2/v1",
        "/d/github/v1",
        "/d/openai/../github/v1",
        "/d/openai/%2e%2E/github",
        "/d/openai/a%2f..%2fb",
        "/d/openai//v1",
        "/oauth2/jwks",
        "/d/openai%2fv1",
        "/"
      })
  void covers_anotherPathOfTheGateway_isNotCovered(String path) throws Exception {
    URI url = URI.create(fake.gatewayUrl() + path);
    assertThat(openai.covers(url)).isFalse();
    http.send(get(url), BodyHandlers.discarding());
    assertThat(fake.tokenRequests()).isZero();
  }

  @Test
  void covers_judgesOriginsAsHttpDoes() {
    Destination destination =
        Valetkey.builder()
            .brokerUrl("https://broker.example")
            .gatewayUrl("https://gw.example")
            .identity(() -> "a.b.c")
            .build()
            .destination("openai");
    assertThat(destination.covers(URI.create("HTTPS://GW.example:443/d/openai"))).isTrue();
    assertThat(destination.covers(URI.create("https://gw.example/d/openai/x"))).isTrue();
    assertThat(destination.covers(URI.create("http://gw.example/d/openai/x"))).isFalse();
    assertThat(destination.covers(URI.create("http://gw.example:443/d/openai/x"))).isFalse();
    assertThat(destination.covers(URI.create("https://gw.example:8443/d/openai/x"))).isFalse();
    assertThat(destination.covers(URI.create("https://gw.example.evil/d/openai/x"))).isFalse();
    assertThat(destination.covers(URI.create("https://u@gw.example/d/openai/x"))).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "v1",
        "2/v1",
        "/../github",
        "//x",
        "/a/./b",
        "/%2e%2e/x",
        "/a;b",
        ".evil",
        "@evil"
      })
  void url_whenThePathIsNotCanonical_isRefused(String path) {
    assertThatThrownBy(() -> openai.url(path)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void url_ofNoPath_isTheBaseOfAnSdk() {
    assertThat(openai.url("")).hasToString(fake.gatewayUrl() + "/d/openai");
    assertThat(openai.url("/")).hasToString(fake.gatewayUrl() + "/d/openai/");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void send_whenTheGatewayRefusesTheToken_getsANewOneAndTriesOnceMore(boolean async)
      throws Exception {
    post(BodyPublishers.ofString("one"), async);
    AccessToken old = openai.token();
    fake.expireTokens();
    assertThat(post(BodyPublishers.ofString("two"), async).statusCode()).isEqualTo(200);
    assertThat(openai.token()).isNotSameAs(old);
    assertThat(fake.issuedTokens()).isEqualTo(2);
    fake.expireTokens();
    assertThat(post(BodyPublishers.ofByteArray(new byte[] {'3'}), async).statusCode())
        .isEqualTo(200);
    fake.expireTokens();
    assertThat(post(BodyPublishers.noBody(), async).statusCode()).isEqualTo(200);
    assertThat(fake.received())
        .extracting(ReceivedRequest::body)
        .containsExactly("one", "two", "3", "");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void send_whenTheBodyCannotBeReplayed_handsOutThe401(boolean async) throws Exception {
    openai.token();
    fake.expireTokens();
    AtomicInteger subscriptions = new AtomicInteger();
    BodyPublisher once =
        BodyPublishers.ofInputStream(() -> {
          subscriptions.incrementAndGet();
          return new ByteArrayInputStream(new byte[] {1});
        });
    HttpResponse<String> answer = post(once, async);
    assertThat(answer.statusCode()).isEqualTo(401);
    assertThat(answer.body()).contains("invalid_token");
    assertThat(subscriptions).hasValue(1);
    assertThat(fake.tokenRequests()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void send_whenTheNewTokenIsRefusedToo_stopsAfterOneRetry(boolean async) throws Exception {
    try (RawServer gateway = new RawServer()) {
      gateway.answers(
          401,
          "no",
          "WWW-Authenticate",
          "Bearer error=\"invalid_token\"",
          "Valetkey-Error",
          "invalid_token");
      assertThat(sendThrough(gateway, async).body()).isEqualTo("no");
      assertThat(gateway.paths).hasSize(2);
      assertThat(gateway.authorizations).doesNotHaveDuplicates();
      assertThat(fake.tokenRequests()).isEqualTo(2);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void send_whenThe401IsNotTheGatewaysInvalidToken_doesNotTryAgain(boolean async) throws Exception {
    try (RawServer gateway = new RawServer()) {
      gateway.answers(401, "no", "WWW-Authenticate", "Bearer error=\"invalid_token\"");
      assertThat(sendThrough(gateway, async).statusCode()).isEqualTo(401);
      gateway.answers(401, "no", "WWW-Authenticate", "Bearer", "Valetkey-Error", "no_token");
      assertThat(sendThrough(gateway, async).statusCode()).isEqualTo(401);
      assertThat(gateway.paths).hasSize(2);
    }
  }

  private HttpResponse<String> sendThrough(RawServer gateway, boolean async) throws Exception {
    Destination destination =
        Valetkey.builder()
            .brokerUrl(fake.brokerUrl())
            .gatewayUrl(gateway.url())
            .identity(fake::identityToken)
            .build()
            .destination("openai");
    HttpRequest request = get(destination.url("/v1"));
    return async
        ? destination.httpClient().sendAsync(request, BodyHandlers.ofString()).get()
        : destination.httpClient().send(request, BodyHandlers.ofString());
  }

  @Test
  void send_whenNoTokenCanBeHad_failsWithTheReason() {
    fake.deny("openai", "invalid_target");
    HttpRequest request = get(openai.url("/v1"));
    assertThatThrownBy(() -> http.send(request, BodyHandlers.ofString()))
        .isInstanceOf(RefusedException.class);
    assertThatThrownBy(() -> http.sendAsync(request, BodyHandlers.ofString()).get())
        .hasCauseInstanceOf(RefusedException.class);
    assertThat(fake.received()).isEmpty();
  }

  @Test
  void send_afterARejection_neverServesTheRejectedTokenAgain() throws IOException {
    openai.token();
    fake.expireTokens();
    fake.goOffline();
    HttpRequest request = get(openai.url("/v1"));
    assertThatThrownBy(() -> http.send(request, BodyHandlers.ofString()))
        .isInstanceOf(UnavailableException.class);
    assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
  }
}
