package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** What two readers could understand differently is refused. */
class GuardTest {

  private record Bad(String why, String method, String target, Fields fields, ProblemCode code) {}

  @Test
  void accept_whenRequestIsPlain_splitsDestinationPathAndQuery() {
    Guard.Accepted accepted =
        Guard.accept(new Guard.Head("GET", "/d/openai/v1/models?limit=2&x=%20", host()));
    assertThat(accepted.destination()).isEqualTo("openai");
    assertThat(accepted.path().raw()).isEqualTo("/v1/models");
    assertThat(accepted.query()).isEqualTo("limit=2&x=%20");
    assertThat(Guard.accept(new Guard.Head("GET", "/d/openai", host())).path().raw())
        .isEqualTo("/");
  }

  @Test
  void accept_whenBodyIsOnAMethodThatHasOne_accepts() {
    Guard.accept(new Guard.Head("POST", "/d/a/b", host().add("Content-Length", "3")));
    Guard.accept(
        new Guard.Head(
            "POST",
            "/d/a/b",
            host().add("Transfer-Encoding", "chunked").add("Expect", "100-Continue")));
    Guard.accept(new Guard.Head("GET", "/d/a/b", host().add("Content-Length", "0")));
  }

  @TestFactory
  List<DynamicTest> accept_whenRequestHasTwoMeanings_refuses() {
    ProblemCode request = ProblemCode.INVALID_REQUEST;
    ProblemCode path = ProblemCode.INVALID_PATH;
    return List.of(
            new Bad("method in lower case", "get", "/d/a/b", host(), request),
            new Bad("TRACE", "TRACE", "/d/a/b", host(), request),
            new Bad("CONNECT", "CONNECT", "a:443", host(), request),
            new Bad("no Host", "GET", "/d/a/b", new Fields(), request),
            new Bad("two Hosts", "GET", "/d/a/b", host().add("host", "g.test"), request),
            new Bad("user in Host", "GET", "/d/a/b", new Fields().add("Host", "a@b.test"), request),
            new Bad("list in Host", "GET", "/d/a/b", new Fields().add("Host", "a,b"), request),
            new Bad("underscore", "GET", "/d/a/b", host().add("x_api_key", "1"), request),
            new Bad("space in name", "GET", "/d/a/b", host().add("Host ", "1"), request),
            new Bad("empty name", "GET", "/d/a/b", host().add("", "1"), request),
            new Bad("NUL in value", "GET", "/d/a/b", host().add("a", "b\0"), request),
            new Bad("CR in value", "GET", "/d/a/b", host().add("a", "b\rc"), request),
            new Bad(
                "length and coding",
                "POST",
                "/d/a/b",
                host().add("Content-Length", "1").add("Transfer-Encoding", "chunked"),
                request),
            new Bad(
                "two lengths",
                "POST",
                "/d/a/b",
                host().add("Content-Length", "1").add("Content-Length", "1"),
                request),
            new Bad("length list", "POST", "/d/a/b", host().add("Content-Length", "1, 1"), request),
            new Bad("signed length", "POST", "/d/a/b", host().add("Content-Length", "+1"), request),
            new Bad(
                "other coding",
                "POST",
                "/d/a/b",
                host().add("Transfer-Encoding", "gzip, chunked"),
                request),
            new Bad("body on GET", "GET", "/d/a/b", host().add("Content-Length", "1"), request),
            new Bad(
                "body on DELETE",
                "DELETE",
                "/d/a/b",
                host().add("Transfer-Encoding", "chunked"),
                request),
            new Bad(
                "expectation",
                "POST",
                "/d/a/b",
                host().add("Expect", "200-ok"),
                ProblemCode.EXPECTATION_FAILED),
            new Bad("absolute-form", "GET", "http://g.test/d/a/b", host(), path),
            new Bad("asterisk-form", "OPTIONS", "*", host(), path),
            new Bad("dot segments", "GET", "/d/a/../b", host(), path),
            new Bad("dot segment as name", "GET", "/d/../b", host(), path),
            new Bad("no name", "GET", "/d/", host(), path),
            new Bad("empty name before a path", "GET", "/d//b", host(), path),
            new Bad("name in upper case", "GET", "/d/OpenAI/b", host(), path),
            new Bad("encoded name", "GET", "/d/%61/b", host(), path),
            new Bad("fragment in query", "GET", "/d/a/b?c#d", host(), request),
            new Bad("raw non-ASCII in query", "GET", "/d/a/b?é", host(), request),
            new Bad("elsewhere", "GET", "/healthz", host(), ProblemCode.NOT_FOUND),
            new Bad("elsewhere, malformed", "GET", "/x/../d/a", host(), path))
        .stream()
        .map(bad ->
            DynamicTest.dynamicTest(
                bad.why(),
                () ->
                    assertThatThrownBy(() ->
                            Guard.accept(new Guard.Head(bad.method(), bad.target(), bad.fields())))
                        .isInstanceOfSatisfying(
                            RefusedException.class,
                            e -> assertThat(e.code()).isEqualTo(bad.code()))))
        .toList();
  }

  private static Fields host() {
    return new Fields().add("Host", "gateway.test:8090");
  }
}
