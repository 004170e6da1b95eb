package io.valetkey.broker.gateway;

import io.netty.channel.Channel;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.AttributeKey;
import io.valetkey.broker.crypto.CertificateThumbprint;
import javax.net.ssl.SSLPeerUnverifiedException;
import org.jspecify.annotations.Nullable;

/**
 * The certificate of whoever opened a connection: one for each connection, read when the first
 * token that is bound to a certificate comes in, on the connection's event loop.
 */
final class PeerCertificate {

  private static final AttributeKey<PeerCertificate> KEY =
      AttributeKey.valueOf(PeerCertificate.class, "peer");

  private final Channel channel;
  private @Nullable String thumbprint;

  private PeerCertificate(Channel channel) {
    this.channel = channel;
  }

  /** That of the connection, whether it has one or not. */
  static PeerCertificate of(Channel channel) {
    PeerCertificate known = channel.attr(KEY).get();
    if (known == null) {
      known = new PeerCertificate(channel);
      channel.attr(KEY).set(known);
    }
    return known;
  }

  /** Its thumbprint (RFC 8705 section 3.1), or null if the caller showed none. */
  @Nullable String thumbprint() {
    if (thumbprint == null) {
      // The first is the listener's own; TLS that a tunnel has inside asks for no certificate.
      SslHandler tls = channel.pipeline().get(SslHandler.class);
      thumbprint = tls == null ? null : shown(tls);
    }
    return thumbprint;
  }

  private static @Nullable String shown(SslHandler tls) {
    try {
      return CertificateThumbprint.of(tls.engine().getSession().getPeerCertificates()[0]);
    } catch (SSLPeerUnverifiedException e) {
      return null;
    }
  }
}
