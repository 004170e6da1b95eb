package io.valetkey.broker.identity;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.IOException;
import java.net.URI;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What is asked of a provider when people sign in: where it is, and how much at once. */
final class ProviderTalk {

  private static final Logger log = LoggerFactory.getLogger(ProviderTalk.class);

  private static final int AT_ONCE = 8;

  private final RelyingParty.Client client;
  private final BoundedHttp http;
  private final Semaphore talks = new Semaphore(AT_ONCE);
  private volatile @Nullable Known known;

  ProviderTalk(RelyingParty.Client client, BoundedHttp http) {
    this.client = client;
    this.http = http;
  }

  private record Known(RelyingParty.Endpoints endpoints, long nanos) {}

  /**
   * Where the provider is, as configured or as it said in the last minutes; may block.
   *
   * @throws IOException if it does not say
   */
  RelyingParty.Endpoints endpoints() throws IOException {
    RelyingParty.Endpoints configured = client.endpoints();
    if (configured != null) {
      return configured;
    }
    Known last = known;
    long now = System.nanoTime();
    if (last != null && now - last.nanos() < KeyFetch.REFRESH_AFTER.toNanos()) {
      return last.endpoints();
    }
    DiscoveryDocument document =
        DiscoveryDocument.read(
            http, new KeySource.Discovery(URI.create(client.issuer()), Tls.PLATFORM));
    URI authorization = document.address("authorization_endpoint");
    if (!RelyingParty.isSecure(authorization) || authorization.getRawFragment() != null) {
      throw new IOException("the authorization endpoint is not an https URL");
    }
    RelyingParty.Endpoints found =
        new RelyingParty.Endpoints(
            authorization,
            document.address("token_endpoint"),
            document.says("authorization_response_iss_parameter_supported"));
    known = new Known(found, now);
    return found;
  }

  /** Something that is asked of the provider. */
  interface Talk<T> {
    T run() throws IOException;
  }

  /**
   * Runs it, if not too many are under way: anybody can begin to sign in.
   *
   * @throws RefusedException {@link ProblemCode#RATE_LIMITED} if there are, {@link
   *     ProblemCode#ISSUER_UNAVAILABLE} if the provider does not answer as it should
   */
  <T> T bounded(Talk<T> talk) {
    if (!talks.tryAcquire()) {
      throw new RefusedException(ProblemCode.RATE_LIMITED, "Too many sign in at once");
    }
    try {
      return talk.run();
    } catch (IOException e) {
      log.warn("Nobody can sign in by {}: {}", client.issuer(), e.toString());
      throw new RefusedException(
          ProblemCode.ISSUER_UNAVAILABLE, "The provider gave no answer that helps");
    } finally {
      talks.release();
    }
  }
}
