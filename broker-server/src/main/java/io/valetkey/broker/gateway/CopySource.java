package io.valetkey.broker.gateway;

import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.RequestPath;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What S3 reads to copy it, as the request to read it that the caller could have made.
 *
 * @param path the key
 * @param sentQuery the version, if one is named
 */
record CopySource(RequestPath path, @Nullable String sentQuery) implements RequestFacts {

  static CopySource parse(String header) {
    int query = header.indexOf('?');
    String key = query < 0 ? header : header.substring(0, query);
    return new CopySource(
        RequestPath.receive(key.startsWith("/") ? key : "/" + key),
        query < 0 ? null : header.substring(query + 1));
  }

  @Override
  public boolean knows(Part part) {
    return true;
  }

  @Override
  public Map<String, List<String>> sentHeaders(Set<String> hidden) {
    return Map.of();
  }

  @Override
  public @Nullable RequestBody sentBody() {
    return null;
  }
}
