package io.valetkey.broker.policy;

import io.valetkey.broker.condition.Asker;
import io.valetkey.broker.condition.RequestFacts;

/** A request as rules see it. */
public interface Attempt {

  /** The method in upper case, or {@link ScopeRules#WEB_SOCKET}. */
  String method();

  /** The path below the destination. */
  RequestPath path();

  /** Who makes it. */
  Asker asker();

  /** What else is known of it. */
  RequestFacts facts();
}
