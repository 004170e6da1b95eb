package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which slots hold a token, and which fields and parameters pass. */
class HeaderRulesTest {

  @ParameterizedTest
  @CsvSource({
    "Authorization,Bearer t1", "authorization,bearer t1", "Authorization,token t1", "X-Api-Key,t1",
    "api-key,t1", "x-goog-api-key,t1", "PRIVATE-TOKEN,t1", "Valetkey-Token,t1"
  })
  void read_findsTheTokenInEachKnownSlot(String name, String value) {
    assertThat(TokenSlots.read(new Fields().add(name, value))).isEqualTo("t1");
  }

  @Test
  void read_whenBasic_takesThePassword() {
    String pair = Base64.getEncoder().encodeToString("git:a:b".getBytes(StandardCharsets.UTF_8));
    assertThat(TokenSlots.read(new Fields().add("Authorization", "Basic " + pair)))
        .isEqualTo("a:b");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Bearer", "Bearer ", "Basic !", "Basic eA==", "Digest x", "t1"})
  void read_whenTheSlotHoldsSomethingElse_refuses(String value) {
    refused(new Fields().add("Authorization", value), ProblemCode.INVALID_TOKEN);
  }

  @Test
  void read_whenThereIsNotExactlyOne_refuses() {
    refused(new Fields().add("X-Other", "t1"), ProblemCode.UNAUTHORIZED);
    refused(
        new Fields().add("Authorization", "Bearer t1").add("x-api-key", "t1"),
        ProblemCode.SEVERAL_TOKENS);
    refused(new Fields().add("x-api-key", "t1").add("X-API-Key", "t1"), ProblemCode.SEVERAL_TOKENS);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Authorization",
        "x-api-key",
        "Api-Key",
        "X-Goog-Api-Key",
        "Private-Token",
        "Valetkey-Token",
        "X-Own-Slot",
        "Cookie",
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "X-Named",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "Via",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Host",
        "Content-Length",
        "Expect",
        "Accept-Encoding",
        "DPoP"
      })
  void forUpstream_removes(String name) {
    Fields received =
        new Fields().add("Connection", "close, X-Named").add(name, "x").add("Accept", "a/b");
    assertThat(HeaderRules.forUpstream(received, Set.of("x-own-slot")).list())
        .containsExactly(new Fields.Field("Accept", "a/b"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Set-Cookie",
        "Alt-Svc",
        "WWW-Authenticate",
        "Proxy-Authenticate",
        "Authentication-Info",
        "Authorization",
        "X-Api-Key",
        "X-Own-Slot",
        "Connection",
        "Transfer-Encoding",
        "X-Named",
        "Keep-Alive",
        "Valetkey-Error",
        "Trailer"
      })
  void forCaller_removes(String name) {
    Fields received =
        new Fields().add("Connection", "X-Named").add(name, "x").add("Content-Type", "a/b");
    assertThat(HeaderRules.forCaller(received, Set.of("x-own-slot")).list())
        .containsExactly(new Fields.Field("Content-Type", "a/b"));
  }

  @ParameterizedTest
  @CsvSource({
    "a=1&b=2,a=1&b=2",
    "key=s&a=1,a=1",
    "a=1&KEY=s&b=2,a=1&b=2",
    "a=1&api_key=s,a=1",
    "a=1;access_token=s;b=2,a=1;b=2",
    "%6bey=s&a=1,a=1",
    "keys=1&monkey=2,keys=1&monkey=2",
    "a=%&b,a=%&b",
    "key=s,",
    "key,",
    "&a=1,&a=1",
    "list-type=2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&X-Amz-Signature=s,list-type=2",
    "x-id=GetObject&AWSAccessKeyId=c,x-id=GetObject"
  })
  void forUpstream_removesParametersThatLookLikeKeys(String query, String kept) {
    assertThat(HeaderRules.forUpstream(query)).isEqualTo(kept);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      value = {
        "https://api.test/a?b#c https://g.test/d/x/a?b#c",
        "https://API.test:443/a https://g.test/d/x/a",
        "//api.test/a https://g.test/d/x/a",
        "/a https://g.test/d/x/a",
        "https://api.test https://g.test/d/x",
        "a/b a/b",
        "https://api.test.evil.test/ https://api.test.evil.test/",
        "https://api.test@evil.test/ https://api.test@evil.test/",
        "https://api.test:8443/a https://api.test:8443/a",
        "http://api.test/a http://api.test/a"
      })
  void rewrite_turnsTheUpstreamsOwnAddressIntoOurs(String location, String expected) {
    OwnAddress own = new OwnAddress("https://g.test/d/x", "api.test", 443);
    assertThat(own.rewrite(new Fields().add("Location", location)).first("location"))
        .isEqualTo(expected);
    assertThat(
            own.rewrite(
                    new Fields().add("Link", "<" + location + ">; rel=next, <https://o.test/>; a"))
                .all("link"))
        .isEqualTo(List.of("<" + expected + ">; rel=next, <https://o.test/>; a"));
  }

  @Test
  void read_takesTheTokenOfAnAwsSession_besideItsSignature_andNoOther() {
    String signature =
        "AWS4-HMAC-SHA256 Credential=valetkey/20261101/r/s3/aws4_request, Signature=0";
    Fields session = new Fields().add("Authorization", signature);
    refused(session, ProblemCode.UNAUTHORIZED);
    assertThat(TokenSlots.read(session.add("X-Amz-Security-Token", "good"))).isEqualTo("good");
    refused(session.add("x-api-key", "good"), ProblemCode.SEVERAL_TOKENS);
    refused(
        new Fields().add("Authorization", "Bearer good").add("X-Amz-Security-Token", "good"),
        ProblemCode.SEVERAL_TOKENS);
  }

  private static void refused(Fields fields, ProblemCode code) {
    assertThatThrownBy(() -> TokenSlots.read(fields))
        .isInstanceOfSatisfying(RefusedException.class, e -> assertThat(e.code()).isEqualTo(code));
  }
}
