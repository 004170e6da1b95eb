package io.valetkey.broker.gateway;

import com.github.benmanes.caffeine.cache.AsyncCache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolConfig.Protocol;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectedListenerFailureBehavior;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectorFailureBehavior;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * The TLS of intercepted tunnels, by host. One certificate at a time is made for a host, off the
 * event loops, and only for hosts that were granted: whoever asks has decided that before.
 */
public final class InterceptionCertificates {

  private static final int HOSTS = 1_000;

  /** Half of a certificate's life, so that what is shown lasts for a while. */
  private static final Duration KEPT = Duration.ofHours(12);

  private static final String[] VERSIONS = {"TLSv1.3", "TLSv1.2"};

  /** What may be spoken in a tunnel, the best first. */
  private static final String[] PROTOCOLS = {
    ApplicationProtocolNames.HTTP_2, ApplicationProtocolNames.HTTP_1_1
  };

  private volatile @Nullable InterceptionAuthority authority;
  private final AsyncCache<String, SslContext> hosts =
      Caffeine.newBuilder()
          .maximumSize(HOSTS)
          .expireAfterWrite(KEPT)
          .executor(task -> Thread.ofVirtual().name("interception").start(task))
          .buildAsync();

  /** Signs nothing until there is an authority. */
  public InterceptionCertificates() {}

  /** Signs by this authority until it is renewed. */
  public InterceptionCertificates(InterceptionAuthority authority) {
    this.authority = authority;
  }

  /** From now on certificates come from this one; open tunnels stay as they are. */
  public void renew(InterceptionAuthority renewed) {
    authority = renewed;
    hosts.synchronous().invalidateAll();
  }

  /** The present authority; null if there is none yet. */
  public @Nullable InterceptionAuthority authority() {
    return authority;
  }

  /** When the present authority ends, in seconds since 1970; 0 if there is none yet. */
  public double notAfter() {
    InterceptionAuthority present = authority;
    return present == null ? 0 : present.end().getEpochSecond();
  }

  /** How many hosts have a certificate now, about. */
  long size() {
    return hosts.synchronous().estimatedSize();
  }

  /**
   * The TLS of this host. Fails with a {@link RefusedException} of {@link
   * ProblemCode#TEMPORARILY_UNAVAILABLE} if there is no authority, or it has ended.
   */
  CompletableFuture<SslContext> of(String host) {
    return hosts.get(host, this::context);
  }

  private SslContext context(String host) {
    InterceptionAuthority present = authority;
    if (present == null || !present.isAlive()) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "there is no interception authority");
    }
    InterceptionAuthority.Leaf leaf = present.leaf(host);
    try {
      return SslContextBuilder.forServer(leaf.key(), leaf.chain().toArray(new X509Certificate[0]))
          .sslProvider(SslProvider.JDK)
          .protocols(VERSIONS)
          .applicationProtocolConfig(
              new ApplicationProtocolConfig(
                  Protocol.ALPN,
                  SelectorFailureBehavior.FATAL_ALERT,
                  SelectedListenerFailureBehavior.ACCEPT,
                  PROTOCOLS))
          .build();
    } catch (SSLException e) {
      throw new IllegalStateException("the certificate cannot be shown", e);
    }
  }
}
