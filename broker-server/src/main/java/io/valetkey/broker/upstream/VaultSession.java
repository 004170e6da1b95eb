package io.valetkey.broker.upstream;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.springframework.http.HttpEntity;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatus;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.vault.VaultException;
import org.springframework.vault.authentication.ClientAuthentication;
import org.springframework.vault.authentication.LifecycleAwareSessionManager;
import org.springframework.vault.client.VaultHttpHeaders;
import org.springframework.vault.support.VaultToken;
import org.springframework.web.client.RestClientResponseException;
import org.springframework.web.client.RestOperations;

/**
 * Our login at Vault. The token is renewed in the background; a dead one is forgotten, and the next
 * call logs in again. At the end it revokes a token that it got by logging in, never one that it
 * was given; no lease hangs on either.
 */
final class VaultSession extends LifecycleAwareSessionManager {

  private final RestOperations client;
  private final ReentrantLock logins = new ReentrantLock();
  private final long patienceMillis;

  VaultSession(
      ClientAuthentication authentication,
      TaskScheduler scheduler,
      RestOperations client,
      long patienceMillis) {
    super(authentication, scheduler, client);
    this.client = client;
    this.patienceMillis = patienceMillis;
  }

  /**
   * The current token, after a login if there is none. The superclass waits for its lock without
   * end, and each that waited would then try for itself; here the wait is bounded and
   * interruptible, so that a Vault that hangs does not queue up calls one time-out after the other.
   */
  @Override
  public VaultToken getSessionToken() {
    if (getToken().isPresent()) {
      return super.getSessionToken();
    }
    try {
      if (!logins.tryLock(patienceMillis, TimeUnit.MILLISECONDS)) {
        throw new VaultException("waited too long for the login at Vault");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new VaultException("interrupted while waiting for the login at Vault", e);
    }
    try {
      return super.getSessionToken();
    } finally {
      logins.unlock();
    }
  }

  /**
   * Called when Vault answered 403: that means a dead token or a missing permission. Forgets the
   * token if Vault no longer knows it.
   *
   * @param used the token that was refused
   * @return whether another try may help
   */
  boolean forgetIfDead(VaultToken used) {
    if (!isCurrent(used)) {
      return true;
    }
    try {
      HttpEntity<Void> request = new HttpEntity<>(VaultHttpHeaders.from(used));
      client.exchange("auth/token/lookup-self", HttpMethod.GET, request, Map.class);
      return false;
    } catch (RestClientResponseException e) {
      if (e.getStatusCode().value() != HttpStatus.FORBIDDEN.value()) {
        return false;
      }
    }
    logins.lock();
    try {
      if (isCurrent(used)) {
        setToken(Optional.empty());
      }
    } finally {
      logins.unlock();
    }
    return true;
  }

  private boolean isCurrent(VaultToken used) {
    return getToken().isPresent() && super.getSessionToken().equals(used);
  }
}
