package io.valetkey.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the client sends to the token endpoint, and what it makes of good and hostile answers. */
class TokenExchangeTest {
  private static final String IDENTITY = "aWRlbnRpdHk.c3ViamVjdA.c2lnbmF0dXJl";
  private static final String GOOD =
      "{\"access_token\":\"aGVhZGVy.Y2xhaW1z.c2ln\",\"token_type\":\"Bearer\",\"expires_in\":300,"
          + "\"scope\":\"chat files\",\"issued_token_type\":"
          + "\"urn:ietf:params:oauth:token-type:access_token\"}";

  private RawServer broker;

  @BeforeEach
  void start() throws IOException {
    broker = new RawServer();
  }

  @AfterEach
  void stop() {
    broker.close();
  }

  private Valetkey.Builder builder() {
    return Valetkey.builder().brokerUrl(broker.url()).identity(() -> IDENTITY);
  }

  private Destination openai() {
    return builder().build().destination("openai");
  }

  private UnavailableException unavailable() {
    return catchThrowableOfType(UnavailableException.class, openai()::token);
  }

  @Test
  void exchange_sendsExactlyTheParametersOfRfc8693() {
    broker.answers(200, GOOD);
    openai().withScopes("files", "chat").token();
    assertThat(broker.paths).containsExactly("/oauth2/token");
    assertThat(broker.bodies)
        .containsExactly(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token="
                + IDENTITY
                + "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
                + "&audience=openai&scope=chat+files");
    assertThat(broker.authorizations).containsExactly("null");
  }

  @Test
  void exchange_withoutScopes_asksForNone() {
    broker.answers(200, GOOD);
    assertThat(openai().token().scopes()).containsExactly("chat", "files");
    assertThat(broker.bodies.get(0)).endsWith("&audience=openai");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "<html>Please log in</html>",
        "",
        "[]",
        "{}",
        "{\"access_token\":\"a.b.c\",",
      })
  void exchange_whenTheAnswerIsNotTheBrokers_isUnavailable(String body) {
    broker.answers(200, body);
    assertThat(unavailable().retryable()).isTrue();
  }

  /** Each line spoils one thing in an answer that is otherwise good. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"token_type\":\"Bearer\" | \"token_type\":\"DPoP\"",
        "\"token_type\":\"Bearer\", | ``",
        "\"token_type\":\"Bearer\" | \"token_type\":7",
        "\"token_type\":\"Bearer\" | \"token_type\":\"Bearer\",\"token_type\":\"Bearer\"",
        "\"expires_in\":300, | ``",
        "\"expires_in\":300 | \"expires_in\":0",
        "\"expires_in\":300 | \"expires_in\":-300",
        "\"expires_in\":300 | \"expires_in\":\"300\"",
        "\"expires_in\":300 | \"expires_in\":3e2",
        "\"expires_in\":300 | \"expires_in\":300.5",
        "\"expires_in\":300 | \"expires_in\":0300",
        "\"expires_in\":300 | \"expires_in\":3601",
        "\"expires_in\":300 | \"expires_in\":99999999999999999999999",
        "\"expires_in\":300 | \"expires_in\":null",
        "\"expires_in\":300 | \"expires_in\":300,\"access_token\":\"x.y.z\"",
        "\"scope\":\"chat files\", | ``",
        "access_token\"} | saml2\"}",
        "aGVhZGVy.Y2xhaW1z.c2ln | opaque",
        "aGVhZGVy.Y2xhaW1z.c2ln | aGVhZGVy.Y2xhaW1z.c2ln\\r\\nX-Evil: 1",
        "\"expires_in\":300 | \"expires_in\":300,\"x\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]",
      })
  void exchange_whenOneThingIsWrong_isUnavailable(String right, String wrong) {
    assertThat(GOOD).contains(right);
    broker.answers(200, GOOD.replace(right, wrong));
    assertThat(unavailable()).isNotNull();
    assertThat(broker.paths).hasSize(1);
  }

  @Test
  void exchange_whenSomethingFollowsTheAnswer_isUnavailable() {
    broker.answers(200, GOOD + "{}");
    assertThat(unavailable()).isNotNull();
  }

  @Test
  void exchange_acceptsUnknownMembersAndAnyCaseOfBearer() {
    broker.answers(
        200,
        GOOD.replace("\"Bearer\"", "\"bearer\",\"new\":{\"a\":[1,true,null,-2.5e3,\"\\u00e9\"]}"));
    assertThat(openai().token().value()).isEqualTo("aGVhZGVy.Y2xhaW1z.c2ln");
  }

  @Test
  void exchange_whenTheAnswerIsHuge_hangsUp() {
    broker.script =
        exchange -> {
          exchange.sendResponseHeaders(200, 0);
          byte[] block = new byte[64 * 1024];
          java.util.Arrays.fill(block, (byte) ' ');
          for (int i = 0; i < 100_000; i++) { // 6 GiB, unless the client hangs up
            exchange.getResponseBody().write(block);
          }
        };
    assertThat(unavailable()).hasMessageContaining("longer than");
  }

  @Test
  void exchange_whenTheBodyTrickles_endsAtTheTimeoutAndHangsUp() throws Exception {
    CountDownLatch hungUp = new CountDownLatch(1);
    broker.script =
        exchange -> {
          exchange.sendResponseHeaders(200, 0);
          try {
            for (int i = 0; i < 1000; i++) {
              exchange.getResponseBody().write(' ');
              exchange.getResponseBody().flush();
              Thread.sleep(20);
            }
          } catch (IOException e) {
            hungUp.countDown();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        };
    Destination openai = builder().timeout(Duration.ofMillis(300)).build().destination("openai");
    long start = System.nanoTime();
    assertThatThrownBy(openai::token)
        .isInstanceOf(UnavailableException.class)
        .hasMessageContaining("did not answer within 300 ms");
    assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(5));
    assertThat(hungUp.await(10, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void exchange_whenTheIdentitySourceHangs_endsAtTheTimeout() {
    CountDownLatch never = new CountDownLatch(1);
    Destination openai =
        builder()
            .identity(() -> {
              try {
                never.await();
              } catch (InterruptedException e) {
                throw new IOException(e);
              }
              return IDENTITY;
            })
            .timeout(Duration.ofMillis(200))
            .build()
            .destination("openai");
    assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
    never.countDown();
  }

  @Test
  void exchange_neverFollowsARedirect() throws IOException {
    try (RawServer thief = new RawServer()) {
      broker.answers(307, "", "Location", thief.url() + "/oauth2/token");
      assertThat(unavailable()).hasMessageContaining("307");
      assertThat(thief.paths).isEmpty();
    }
  }

  @Test
  void exchange_whenNobodyListens_isUnavailable() {
    broker.close();
    assertThat(unavailable()).hasMessageContaining("cannot be reached");
  }

  @ParameterizedTest
  @CsvSource({
    "400,invalid_request,false",
    "401,invalid_client,false",
    "400,invalid_target,false",
    "400,invalid_scope,false",
    "403,something_new,false",
    "429,slow_down,true",
    "503,temporarily_unavailable,true",
    "400,temporarily_unavailable,true",
    "500,server_error,true"
  })
  void exchange_everyErrorSaysWhetherToTryAgain(int status, String error, boolean retryable) {
    broker.answers(status, "{\"error\":\"" + error + "\",\"decision_id\":\"d-1\"}");
    ValetkeyException e = catchThrowableOfType(ValetkeyException.class, openai()::token);
    assertThat(e.retryable()).isEqualTo(retryable);
    assertThat(e).isInstanceOf(retryable ? UnavailableException.class : RefusedException.class);
    assertThat(e.error()).contains(error);
    assertThat(e.decisionId()).contains("d-1");
  }

  @ParameterizedTest
  @ValueSource(ints = {404, 400, 502, 204})
  void exchange_whenItIsNotAnOAuthError_isNoRefusal(int status) {
    broker.answers(status, status == 204 ? "" : "<html>nginx</html>");
    assertThat(unavailable().error()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "7,7",
    "999999,300",
    "soon,-1",
    "-5,-1",
    "'Sun, 01 Nov 2026 00:00:30 GMT',30",
    "'Sat, 31 Oct 2026 00:00:30 GMT',0"
  })
  void exchange_readsRetryAfterInBothFormsUpToFiveMinutes(String header, long seconds) {
    broker.answers(503, "", "Retry-After", header);
    Destination openai = builder().clock(new MovableClock()).build().destination("openai");
    UnavailableException e = catchThrowableOfType(UnavailableException.class, openai::token);
    assertThat(e.retryAfter().map(Duration::toSeconds).orElse(-1L)).isEqualTo(seconds);
  }

  @Test
  void exchange_whenTheErrorEchoesTheIdentity_doesNotPassItOn() {
    broker.answers(
        400,
        "{\"error\":\"invalid_request\",\"decision_id\":\""
            + IDENTITY
            + "\",\"error_description\":\"bad "
            + IDENTITY
            + "\\n\"}");
    RefusedException e = catchThrowableOfType(RefusedException.class, openai()::token);
    StringWriter trace = new StringWriter();
    e.printStackTrace(new PrintWriter(trace));
    assertThat(trace.toString()).contains("bad [redacted]?").doesNotContain(IDENTITY);
    assertThat(e.decisionId()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "opaque", "a.b", "a.b.c.d", "a.b.c\n", "a..c", "a.b.c=", "a.b.ä"})
  void exchange_whenTheSourceGivesNoJwt_sendsNothing(String identity) {
    Destination openai = builder().identity(() -> identity).build().destination("openai");
    assertThatThrownBy(openai::token).isInstanceOf(UnavailableException.class);
    assertThat(broker.paths).isEmpty();
  }

  @Test
  void toString_ofEveryType_hidesTheTokens() {
    broker.answers(200, GOOD);
    Valetkey valetkey = builder().build();
    Destination openai = valetkey.destination("openai");
    AccessToken token = openai.token();
    assertThat(token.toString()).contains("openai", "redacted");
    for (Object each : new Object[] {valetkey, openai, token, openai.tokenAsync(), builder()}) {
      assertThat(each.toString()).doesNotContain(token.value()).doesNotContain(IDENTITY);
    }
  }
}
