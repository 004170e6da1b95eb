package io.valetkey.broker.gateway;

import io.netty.channel.Channel;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.AttributeKey;
import io.valetkey.broker.crypto.CertificateThumbprint;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import javax.net.ssl.SSLPeerUnverifiedException;
import org.jspecify.annotations.Nullable;

/**
 * The certificate of whoever opened a connection: one for each connection, read when something
 * first depends on it, on the connection's event loop.
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

  /**
   * Who calls: as the token says, or where there is none, as the certificate does. Completes on the
   * connection's event loop.
   *
   * @param origin scheme, host and port of what is asked for
   * @throws RefusedException if the token is refused, or {@link ProblemCode#UNAUTHORIZED} if there
   *     is neither
   */
  CompletableFuture<Caller> caller(
      @Nullable String token, Permissions permissions, String origin, Trace trace) {
    return token == null
        ? trace.later("verify_certificate", () -> shower(permissions, origin))
        : CompletableFuture.completedFuture(
            trace.step("verify_token", () -> permissions.verify(token)));
  }

  private CompletableFuture<Caller> shower(Permissions permissions, String origin) {
    String shown = thumbprint();
    if (shown == null) {
      throw new RefusedException(ProblemCode.UNAUTHORIZED, "neither a token nor a certificate");
    }
    CompletableFuture<Caller> caller = permissions.identify(shown, this::chain, origin);
    return caller.isDone()
        ? caller
        : caller.thenApplyAsync(Function.identity(), channel.eventLoop());
  }

  private List<X509Certificate> chain() {
    SslHandler tls = channel.pipeline().get(SslHandler.class);
    List<X509Certificate> chain = new ArrayList<>();
    try {
      for (Certificate shown : tls.engine().getSession().getPeerCertificates()) {
        chain.add((X509Certificate) shown);
      }
    } catch (SSLPeerUnverifiedException e) {
      throw new IllegalStateException("the certificate is gone", e);
    }
    return chain;
  }
}
