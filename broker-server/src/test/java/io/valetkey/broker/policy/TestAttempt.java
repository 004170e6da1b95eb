package io.valetkey.broker.policy;

import io.valetkey.broker.condition.Asker;
import io.valetkey.broker.condition.RequestFacts;

/** A request as rules see it, made by {@code bot}. */
public record TestAttempt(String method, RequestPath path, Asker asker, RequestFacts facts)
    implements Attempt {

  private record Bot(String agent, String issuer, String subject) implements Asker {}

  public TestAttempt(String method, RequestPath path, RequestFacts facts) {
    this(method, path, new Bot("bot", "issuer", "subject"), facts);
  }

  public TestAttempt(String method, RequestPath path) {
    this(method, path, RequestFacts.UNKNOWN);
  }
}
