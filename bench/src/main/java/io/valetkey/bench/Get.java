package io.valetkey.bench;

import io.vertx.core.buffer.Buffer;
import java.util.Map;

/**
 * One GET, again and again.
 *
 * @param body the only right answer
 * @param headers the fields of the request
 */
record Get(String body, Map<String, String> headers) implements ClosedLoop.Exchange {

  /** With a bearer token. */
  static Get of(String body, String token) {
    return new Get(body, Map.of("Authorization", "Bearer " + token));
  }

  @Override
  public Buffer nextBody() {
    return Buffer.buffer();
  }

  @Override
  public boolean isRight(int status, Buffer answer) {
    return status == 200 && answer.toString().equals(body);
  }
}
