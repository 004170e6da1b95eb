package io.valetkey.broker.access;

import io.valetkey.broker.condition.Asker;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.Attempt;
import io.valetkey.broker.policy.RequestPath;

/**
 * What the holder of a verified access token wants to do with it.
 *
 * @param holder who it is
 * @param destination the destination of the request
 * @param method the method of the request
 * @param path the path of the request below the destination
 * @param facts what else is known of the request
 */
public record Use(
    Holder holder, String destination, String method, RequestPath path, RequestFacts facts)
    implements Attempt {

  /** A use of which nothing else is known. */
  public Use(Holder holder, String destination, String method, RequestPath path) {
    this(holder, destination, method, path, RequestFacts.UNKNOWN);
  }

  @Override
  public Asker asker() {
    return holder;
  }
}
