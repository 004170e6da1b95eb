package io.valetkey.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import io.valetkey.broker.policy.DestinationSpec.ByteSize;
import io.valetkey.broker.problem.ProblemCode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ResourceJsonTest {

  private final ResourceJson json = new ResourceJson();

  @Test
  void read_mapsEveryFieldOfTheContract() {
    var issuer =
        (IssuerSpec)
            read(
                ResourceKind.ISSUER,
                """
                {"type": "kubernetes", "issuer": "https://k.test", "keys": {"jwks": {"keys": [{"a": [1, null]}]}},
                 "algorithms": ["ES256"], "maxTokenAge": "1h", "replay": "once",
                 "tokenReview": {"apiServer": "https://k.test"}, "enabled": false}\
                """);
    assertThat(issuer.type()).isEqualTo(IssuerSpec.IssuerType.KUBERNETES);
    assertThat(issuer.keys().jwks()).containsKey("keys");
    assertThat(issuer.maxTokenAge()).isEqualTo(Duration.ofHours(1));
    assertThat(issuer.replay()).isEqualTo(IssuerSpec.Replay.ONCE);

    var agent =
        (AgentSpec)
            read(
                ResourceKind.AGENT,
                """
                {"identities": [{"issuer": "i", "subject": "s", "claims": {"a/b": "1"}}], "maxTokenTtl": "10m"}\
                """);
    assertThat(agent.identities().getFirst().claims()).isEqualTo(Map.of("a/b", "1"));

    var destination =
        (DestinationSpec)
            read(
                ResourceKind.DESTINATION,
                """
                {"kind": "http", "origin": "https://a.test", "credential": {"source": "file", "name": "f"},
                 "slot": {"header": "x-api-key", "format": "{credential}"}, "timeout": "1500ms",
                 "maxStream": "1d", "maxRequestBody": "10MiB", "http2": true, "audit": "full", "rewriteBodies": true, "rawPath": true,
                 "enabled": true}\
                """);
    assertThat(destination.timeout()).isEqualTo(Duration.ofMillis(1500));
    assertThat(destination.maxRequestBody()).isEqualTo(new ByteSize(10 << 20));
    assertThat(destination.http2()).isTrue();
    assertThat(destination.audit()).isEqualTo(DestinationSpec.AuditDetail.FULL);
    assertThat(destination.rewriteBodies()).isTrue();
    assertThat(destination.rawPath()).isTrue();

    var several =
        (DestinationSpec)
            read(
                ResourceKind.DESTINATION,
                """
                {"kind": "http", "origin": "https://a.test",
                 "credential": {"source": "vault-kv", "mount": "secret", "path": "a"},
                 "slots": [{"header": "DD-API-KEY", "format": "{credential}", "field": "api_key"},
                           {"header": "DD-APPLICATION-KEY", "format": "{credential}", "field": "app_key"}]}\
                """);
    assertThat(several.slots())
        .extracting(DestinationSpec.Slot::header, DestinationSpec.Slot::field)
        .containsExactly(tuple("DD-API-KEY", "api_key"), tuple("DD-APPLICATION-KEY", "app_key"));

    var grant =
        (GrantSpec)
            read(
                ResourceKind.GRANT,
                """
                {"agent": "a", "destination": "d", "scopes": ["s"], "limits": {"requestsPerMinute": 600},
                 "expiresAt": "2027-03-01T00:00:00Z"}\
                """);
    assertThat(grant.expiresAt()).isEqualTo(Instant.parse("2027-03-01T00:00:00Z"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          DESTINATION | {"kind":"http","origin":"https://a.test","signing":{"type":"hmac-sha1"},"credential":{"source":"vault-kv","mount":"s","path":"a"}} | /signing/type | invalid_value
          DESTINATION | {"kind":"http","origin":"https://a.test","signing":{"type":"hmac-sha256","keyEncoding":"pem","message":"{body}","headers":[{"header":"x","value":"{signature:hex}"}]},"credential":{"source":"vault-kv","mount":"s","path":"a"}} | /signing/keyEncoding | invalid_value
          DESTINATION | {"kind":"http","origin":"https://a.test","signing":{"type":"hmac-sha256","message":"{body","headers":[{"header":"x","value":"{signature:hex}"}]},"credential":{"source":"vault-kv","mount":"s","path":"a"}} | /signing/message | invalid_value
          DESTINATION | {"kind":"http","origin":"https://a.test","signing":{"type":"hmac-sha256","message":"body}","headers":[{"header":"x","value":"{signature:hex}"}]},"credential":{"source":"vault-kv","mount":"s","path":"a"}} | /signing/message | invalid_value
          DESTINATION | {"kind":"http","origin":"https://a.test","signing":{"type":"hmac-sha256","message":"{bodies}","headers":[{"header":"x","value":"{signature:hex}"}]},"credential":{"source":"vault-kv","mount":"s","path":"a"}} | /signing/message | invalid_value
          DESTINATION | {"kind":"http","origin":"https://a.test","signing":{"type":"hmac-sha256","message":"","headers":[{"header":"x","value":"{signature:hex}"}]},"credential":{"source":"vault-kv","mount":"s","path":"a"}} | /signing/message | invalid_value
          DESTINATION | {"kind":"http","origin":"https://a.test","signing":{"type":"hmac-sha256","message":"{field:signing_key}","headers":[{"header":"x","value":"{signature:hex}"}]},"credential":{"source":"vault-kv","mount":"s","path":"a"}} | /signing/message | invalid_value
          GRANT | {"agent":1,"destination":"d","scopes":["s"]}                        | /agent                    | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":"s"}                        | /scopes                   | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":[1]}                        | /scopes/0                 | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":[null]}                     | /scopes/0                 | wrong_type
          GRANT | {"agent":"a","destination":"d"}                                     | /scopes                   | required
          GRANT | {"agent":"a","destination":"d","scopes":null}                       | /scopes                   | required
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"x":1}                | /x                        | unknown_field
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"a/b~c":1}            | /a~1b~0c                  | unknown_field
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"requestsPerMinute":"1"}} | /limits/requestsPerMinute | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"modelTokensPerDay":"1"}} | /limits/modelTokensPerDay | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"bytesPerDay":1}} | /limits/bytesPerDay | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"requestsPerMinute":1.0}} | /limits/requestsPerMinute | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"limits":{"requestsPerMinute":4294967296}} | /limits/requestsPerMinute | wrong_type
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"expiresAt":"2027-03-01T00:00:00+01:00"} | /expiresAt | invalid_value
          GRANT | {"agent":"a","destination":"d","scopes":["s"],"expiresAt":"2027-02-30T00:00:00Z"} | /expiresAt | invalid_value
          AGENT | {"identities":[{"issuer":"i","subject":"s","claims":{"n":1}}]}      | /identities/0/claims/n    | wrong_type
          AGENT | {"identities":[{"issuer":"i","subject":"s","claims":{"n":null}}]}   | /identities/0/claims/n    | wrong_type
          AGENT | {"identities":["x"]}                                                | /identities/0             | wrong_type
          AGENT | {"identities":[],"enabled":"true"}                                  | /enabled                  | wrong_type
          AGENT | {"identities":[],"enabled":1}                                       | /enabled                  | wrong_type
          AGENT | {"identities":[],"maxTokenTtl":600}                                 | /maxTokenTtl              | wrong_type
          AGENT | {"identities":[],"maxTokenTtl":"010m"}                              | /maxTokenTtl              | invalid_value
          AGENT | {"identities":[],"maxTokenTtl":"1h30m"}                             | /maxTokenTtl              | invalid_value
          AGENT | {"identities":[],"maxTokenTtl":"10 m"}                              | /maxTokenTtl              | invalid_value
          AGENT | {"identities":[],"name":"x"}                                        | /name                     | unknown_field
          ISSUER| {"type":"Kubernetes","issuer":"https://k","keys":{}}                | /type                     | invalid_value
          ISSUER| {"issuer":"https://k","keys":{}}                                    | /type                     | required
          DESTINATION | {"kind":"leased","origin":"https://a","credential":{"source":"file","name":"f"}} | /kind | invalid_value
          DESTINATION | {"kind":"lease","origin":"postgresql://a","credential":{"source":"vault-dynamic","mount":"m"}} | /credential/role | required
          DESTINATION | {"kind":"lease","origin":"https://a","credential":{"source":"vault-dynamic","mount":"m","role":"r","engine":"oracle"}} | /credential/engine | invalid_value
          SCOPE | {"lease":{"maxLive":"3"}}                                           | /lease/maxLive            | wrong_type
          SCOPE | {"lease":{},"allow":[]}                                             | /allow                    | unknown_field
          SCOPE | {"tunnel":true,"allow":[]}                                          | /allow                    | unknown_field
          DESTINATION | {"kind":"","origin":"https://a","credential":{"source":"file","name":"f"}} | /kind | invalid_value
          DESTINATION | {"kind":"http","origin":"https://a","credential":{"source":""}} | /credential/source | unsupported
          DESTINATION | {"kind":"http","origin":"https://a","credential":{"source":null}} | /credential/source | required
          DESTINATION | {"kind":"http","origin":"https://a","credential":{"source":"aws","x":1}} | /credential/source | unsupported
          DESTINATION | {"kind":"http","origin":"https://a","credential":{"source":"vault-pki","mount":"m","role":"r"}} | /credential/source | unsupported
          DESTINATION | {"kind":"http","origin":"https://a","clientCertificate":{"source":"file","mount":"m","role":"r"}} | /clientCertificate/source | invalid_value
          DESTINATION | {"kind":"lease","origin":"https://a","clientCertificate":{"source":"vault-pki","mount":"m","role":"r"}} | /credential | required
          DESTINATION | {"kind":"http","origin":"https://a","credential":{}}          | /credential/source        | required
          DESTINATION | {"kind":"http","origin":"https://a"}                          | /credential               | required
          DESTINATION | {"kind":"http","origin":"https://a","credential":{"source":"file","name":"f"},"maxRequestBody":"10MB"} | /maxRequestBody | invalid_value
          """)
  void read_whenOneThingIsWrong_saysWhereAndWhat(
      ResourceKind kind, String document, String pointer, String code) {
    var refusal = catchThrowableOfType(InvalidResourceException.class, () -> read(kind, document));
    assertThat(refusal.errors())
        .singleElement()
        .satisfies(error -> {
          assertThat(error.pointer()).isEqualTo(pointer);
          assertThat(error.code()).isEqualTo(code);
        });
  }

  @Test
  void read_whenManyThingsAreWrong_namesThemAll() {
    var refusal =
        catchThrowableOfType(
            InvalidResourceException.class,
            () ->
                read(
                    ResourceKind.GRANT,
                    """
                    {"agent": 1, "scopes": [2, "s"], "limits": {"x": 1}, "expiresAt": "soon"}\
                    """));
    assertThat(refusal.code()).isEqualTo(ProblemCode.INVALID_FIELD);
    assertThat(refusal.errors())
        .extracting(FieldError::pointer)
        .containsExactlyInAnyOrder(
            "/agent", "/destination", "/scopes/0", "/limits/x", "/expiresAt");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "[]",
        "1",
        "null",
        "\"x\"",
        "{",
        "{} {}",
        "{}x",
        "{'a': 1}",
        "{\"a\": 1,}",
        "{\"a\": NaN}",
        "{\"a\": 01}",
        "{/* c */}",
        "\ufeff{}",
        "{\"a\": \"\\u0000\"}",
        "{\"a\": \"\\ud800\"}",
        "{\"\\u0000\": 1}"
      })
  void parse_whenItIsNotOneStrictObject_refuses(String document) {
    var refusal =
        catchThrowableOfType(InvalidResourceException.class, () -> Documents.json(document));
    assertThat(refusal.code()).isEqualTo(ProblemCode.INVALID_JSON);
  }

  @Test
  void parse_whenAKeyIsWrittenTwice_saysWhich() {
    var refusal =
        catchThrowableOfType(
            InvalidResourceException.class,
            () -> Documents.json("{\"a\": [{}, {\"b\": 1, \"b\": 2}], \"a\": 3}"));
    assertThat(refusal.errors())
        .extracting(FieldError::pointer, FieldError::code)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple("/a/1/b", "duplicate_key"),
            org.assertj.core.groups.Tuple.tuple("/a", "duplicate_key"));
  }

  @Test
  void parse_whenTooDeepOrTooLargeOrNotUtf8_refuses() {
    String deep = "{\"a\":".repeat(100_000) + "1" + "}".repeat(100_000);
    assertThat(codeOf(deep.getBytes(StandardCharsets.UTF_8))).isEqualTo(ProblemCode.INVALID_JSON);
    assertThat(codeOf(new byte[StrictJson.MAX_BYTES + 1])).isEqualTo(ProblemCode.CONTENT_TOO_LARGE);
    assertThat(codeOf("{\"a\":\"é\"}".getBytes(StandardCharsets.ISO_8859_1)))
        .isEqualTo(ProblemCode.INVALID_JSON);
    assertThat(codeOf("{}".getBytes(StandardCharsets.UTF_16))).isEqualTo(ProblemCode.INVALID_JSON);
  }

  @Test
  void parse_whenRefusing_neverRepeatsWhatWasThere() {
    var refusal =
        catchThrowableOfType(
            InvalidResourceException.class, () -> Documents.json("{\"a\": sk-very-secret}"));
    assertThat(refusal.detail()).doesNotContain("secret").contains("line 1");
  }

  private static ProblemCode codeOf(byte[] document) {
    return catchThrowableOfType(
            InvalidResourceException.class, () -> new StrictJson().object(document))
        .code();
  }

  private ResourceSpec read(ResourceKind kind, String document) {
    return json.read(kind, Documents.json(document));
  }
}
