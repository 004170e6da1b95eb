package io.valetkey.broker.upstream;

import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.springframework.http.HttpStatus;
import org.springframework.scheduling.concurrent.SimpleAsyncTaskScheduler;
import org.springframework.vault.VaultException;
import org.springframework.vault.authentication.VaultLoginException;
import org.springframework.vault.core.VaultOperations;
import org.springframework.vault.core.VaultTemplate;
import org.springframework.vault.support.VaultToken;
import org.springframework.web.client.RestClientResponseException;
import org.springframework.web.client.RestOperations;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * One Vault, one login, a bounded number of calls at a time. Making it does not connect; the first
 * call logs in.
 */
public final class VaultConnection implements AutoCloseable {

  private static final int LONGEST_REASON = 200;

  private final VaultSettings settings;
  private final VaultHttp http;
  private final SimpleAsyncTaskScheduler scheduler;
  private final VaultSession session;
  private final VaultTemplate template;
  private final Semaphore turns;
  private volatile CallListener listener = (answered, nanos) -> {};

  /**
   * Prepares the connection.
   *
   * @throws IllegalArgumentException if a certificate or key store cannot be read
   */
  public VaultConnection(VaultSettings settings) {
    this.settings = settings;
    this.http = new VaultHttp(settings);
    this.scheduler = new SimpleAsyncTaskScheduler();
    scheduler.setVirtualThreads(true);
    scheduler.setThreadNamePrefix("vault-renewal-");
    RestOperations client = http.clients().build();
    this.session =
        new VaultSession(
            VaultLogins.of(settings.login(), client),
            scheduler,
            client,
            settings.timeout().toMillis());
    this.template = new VaultTemplate(http.clients(), session);
    this.turns = new Semaphore(settings.maxConcurrentCalls(), true);
  }

  /**
   * Makes one call in its turn. If Vault refuses it because our token has died, logs in and makes
   * it once more. Blocks; to be called on a virtual thread, and ends when that is interrupted.
   *
   * @throws VaultException if Vault refused; {@link #status} tells how
   */
  public <T> T call(Function<VaultOperations, T> call) {
    long begun = System.nanoTime();
    boolean answered = false;
    try {
      T answer = callInTurn(call);
      answered = true;
      return answer;
    } catch (VaultException e) {
      int status = status(e);
      answered = status >= 400 && status < 500;
      throw e;
    } finally {
      listener.called(answered, System.nanoTime() - begun);
    }
  }

  /** Is told of each call to Vault. */
  @FunctionalInterface
  public interface CallListener {

    /**
     * A call has ended.
     *
     * @param answered whether Vault answered as it should; a refusal is an answer
     * @param nanos how long it took, waiting for its turn included
     */
    void called(boolean answered, long nanos);
  }

  /** Tells of each call from now on. */
  public void onCall(CallListener told) {
    listener = told;
  }

  private <T> T callInTurn(Function<VaultOperations, T> call) {
    takeTurn();
    try {
      VaultToken used = session.getSessionToken();
      try {
        return call.apply(template);
      } catch (VaultException e) {
        if (!isForbidden(e) || !session.forgetIfDead(used)) {
          throw e;
        }
      }
      return callAfterLogin(call);
    } finally {
      turns.release();
    }
  }

  private <T> T callAfterLogin(Function<VaultOperations, T> call) {
    VaultToken used = session.getSessionToken();
    try {
      return call.apply(template);
    } catch (VaultException e) {
      if (isForbidden(e) && session.forgetIfDead(used)) {
        throw new VaultLoginException("Vault does not know the token of our login", e);
      }
      throw e;
    }
  }

  private static boolean isForbidden(VaultException failure) {
    return status(failure) == HttpStatus.FORBIDDEN.value();
  }

  /** How many more calls could begin now. */
  public int freeTurns() {
    return turns.availablePermits();
  }

  /** The HTTP status in a failure, or 0 if Vault did not answer. */
  public static int status(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof RestClientResponseException answer) {
        return answer.getStatusCode().value();
      }
    }
    return 0;
  }

  /** What Vault said to refuse, in one clause with its first reason; it repeats no secret. */
  static String answer(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof RestClientResponseException answer) {
        String reason = reason(answer.getResponseBodyAsString());
        return "Vault answered "
            + answer.getStatusCode().value()
            + (reason.isEmpty() ? "" : ": " + reason);
      }
    }
    return "Vault did not answer";
  }

  private static String reason(String body) {
    try {
      String words = JsonMapper.shared().readTree(body).path("errors").path(0).asString("").strip();
      String clean = words.replaceAll("[^ -~]+", " ");
      return clean.length() <= LONGEST_REASON ? clean : clean.substring(0, LONGEST_REASON) + "…";
    } catch (JacksonException e) {
      return "";
    }
  }

  /** Revokes our own login, if it was one, and closes the connections. Within the time-out. */
  @Override
  public void close() {
    scheduler.close();
    session.destroy();
    http.close();
  }

  private void takeTurn() {
    try {
      if (!turns.tryAcquire(settings.timeout().toMillis(), TimeUnit.MILLISECONDS)) {
        throw new VaultException("too many calls to Vault are under way");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new VaultException("interrupted while waiting for a turn at Vault", e);
    }
  }
}
