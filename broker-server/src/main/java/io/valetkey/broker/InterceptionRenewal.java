package io.valetkey.broker;

import io.valetkey.broker.gateway.InterceptionAuthority;
import io.valetkey.broker.gateway.InterceptionCertificates;
import io.valetkey.broker.upstream.VaultPki;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has Vault certify a key that is made here and never leaves this process, and again in the middle
 * of each certificate's life. Until there is a first one, and after one has ended, tunnels are
 * refused; nothing else waits for it.
 */
final class InterceptionRenewal implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(InterceptionRenewal.class);
  private static final Duration RETRY = Duration.ofSeconds(5);
  private static final Duration LOOK = Duration.ofMinutes(1);
  private static final Duration SHORTEST = Duration.ofSeconds(1);

  private final VaultPki pki;
  private final InterceptionSettings settings;
  private final InterceptionCertificates certificates;
  private final Clock clock;
  private final Thread thread;

  /** Begins at once, in the background. */
  InterceptionRenewal(
      VaultPki pki,
      InterceptionSettings settings,
      InterceptionCertificates certificates,
      Clock clock) {
    this.pki = pki;
    this.settings = settings;
    this.certificates = certificates;
    this.clock = clock;
    this.thread = Thread.ofVirtual().name("interception-renewal").start(this::run);
  }

  private void run() {
    Instant due = clock.instant();
    try {
      while (true) {
        Instant now = clock.instant();
        if (now.isBefore(due)) {
          Duration left = Duration.between(now, due);
          Thread.sleep(left.compareTo(LOOK) < 0 ? left : LOOK);
        } else {
          due = renew();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** When it is to be done again. */
  private Instant renew() {
    Instant now = clock.instant();
    try {
      var request = InterceptionAuthority.Request.make();
      InterceptionAuthority authority =
          request.certified(
              pki.signIntermediate(
                  request.pem(), request.name(), InterceptionAuthority.LIFE, settings.domains()),
              clock);
      certificates.renew(authority);
      InterceptionKeys.write(settings.file(), authority);
      log.info("The forward proxy has an authority from Vault, which ends at {}", authority.end());
      Duration half = Duration.between(now, authority.end()).dividedBy(2);
      return now.plus(half.compareTo(SHORTEST) < 0 ? SHORTEST : half);
    } catch (IOException | GeneralSecurityException | RuntimeException e) {
      log.error("The forward proxy gets no authority: {}", e.getMessage());
      log.debug("Why", e);
      return now.plus(RETRY);
    }
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
