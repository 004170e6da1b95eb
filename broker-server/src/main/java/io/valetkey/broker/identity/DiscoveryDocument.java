package io.valetkey.broker.identity;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What an issuer says of itself (OpenID Connect Discovery section 4). */
final class DiscoveryDocument {

  private final Map<String, @Nullable Object> members;

  private DiscoveryDocument(Map<String, @Nullable Object> members) {
    this.members = members;
  }

  /**
   * Reads it, blocking.
   *
   * @throws IOException if there is no answer, or it is another issuer's
   */
  static DiscoveryDocument read(BoundedHttp http, KeySource.Discovery source) throws IOException {
    String issuer = source.issuer().toString();
    String base = issuer.endsWith("/") ? issuer.substring(0, issuer.length() - 1) : issuer;
    Map<String, @Nullable Object> members =
        http.document(URI.create(base + "/.well-known/openid-configuration"), source.tls());
    if (!issuer.equals(members.get("issuer"))) {
      throw new IOException("the discovery document is another issuer's");
    }
    return new DiscoveryDocument(members);
  }

  /**
   * One of its addresses.
   *
   * @throws IOException if it is not there or malformed
   */
  URI address(String member) throws IOException {
    if (!(members.get(member) instanceof String text)) {
      throw new IOException("the discovery document has no " + member);
    }
    try {
      return new URI(text);
    } catch (URISyntaxException e) {
      throw new IOException("the discovery document's " + member + " is malformed", e);
    }
  }

  /** Whether it says that something is so; what it does not mention is not. */
  boolean says(String member) {
    return Boolean.TRUE.equals(members.get(member));
  }
}
