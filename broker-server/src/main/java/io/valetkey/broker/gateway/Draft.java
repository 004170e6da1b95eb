package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.Destination;
import org.jspecify.annotations.Nullable;

/**
 * A request as it will go upstream, before the credential is in it.
 *
 * @param method as the caller sent it
 * @param host the upstream's {@code Host}, without the port if it is the usual one
 * @param path exactly as it was matched
 * @param query without the question mark and the caller's own keys, or null
 * @param fields those of the caller that may go on, and room for more
 */
record Draft(String method, String host, String path, @Nullable String query, Fields fields) {

  private static final int HTTPS = 443;

  /** What is left of a caller's request for this destination. */
  static Draft of(Guard.Accepted accepted, Destination target) {
    return new Draft(
        accepted.method(),
        target.port() == HTTPS ? target.host() : target.host() + ":" + target.port(),
        accepted.path().raw(),
        HeaderRules.forUpstream(accepted.query()),
        HeaderRules.forUpstream(accepted.fields(), target.injection().replaced())
            .add("Accept-Encoding", "identity"));
  }

  Draft with(Fields others) {
    return new Draft(method, host, path, query, others);
  }

  /** Path and query as they are sent. */
  String target() {
    return query == null ? path : path + "?" + query;
  }
}
