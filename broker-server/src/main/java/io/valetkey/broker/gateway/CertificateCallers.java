package io.valetkey.broker.gateway;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.VerifiedWorkload;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.token.AccessTokenClaims;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * Says who calls by the certificate of a connection alone. The answer is what an access token would
 * say that is bound to this certificate, for the destination at one origin and all that is granted
 * there; but no token is made. It holds as long as such a token would, and is given anew once the
 * policy or the stops have changed.
 */
public final class CertificateCallers {

  private static final int KNOWN = 20_000;

  private record Way(String thumbprint, String origin) {}

  private record Known(Caller caller, Instant until, Access.Basis basis) {}

  private final IdentityVerifier identities;
  private final Access access;
  private final Clock clock;
  private final Cache<Way, Known> known =
      Caffeine.newBuilder().maximumSize(KNOWN).expireAfterWrite(Access.CEILING).build();

  /** Asks these, as the token endpoint does. */
  public CertificateCallers(IdentityVerifier identities, Access access, Clock clock) {
    this.identities = identities;
    this.access = access;
    this.clock = clock;
  }

  /**
   * Who it is. Does not block: whom it does not know it asks about on another thread.
   *
   * @param thumbprint that of the first of the chain
   * @param chain as the peer showed it in the handshake
   * @param origin scheme, host and port
   * @return fails with a {@link RefusedException} as the token endpoint would refuse
   */
  CompletableFuture<Caller> of(
      String thumbprint, Supplier<List<X509Certificate>> chain, String origin) {
    Access.Basis basis = access.basis();
    Way way = new Way(thumbprint, origin);
    Known before = known.getIfPresent(way);
    if (before != null
        && before.basis().equals(basis)
        && clock.instant().isBefore(before.until())) {
      return CompletableFuture.completedFuture(before.caller());
    }
    List<X509Certificate> shown = chain.get();
    return CompletableFuture.supplyAsync(
        () -> ask(way, shown, basis), task -> Thread.ofVirtual().name("certificate").start(task));
  }

  private Caller ask(Way way, List<X509Certificate> chain, Access.Basis basis) {
    VerifiedWorkload workload = identities.verify(chain);
    Decision.Granted granted =
        BrokerPermissions.granted(
            access.decideAtOrigin(workload.issuer(), workload.subject(), way.origin()));
    Instant until = clock.instant().plus(granted.ttl());
    if (workload.expiresAt().isBefore(until)) {
      until = workload.expiresAt();
    }
    if (!clock.instant().isBefore(until)) {
      // The check has a leeway; what is given here has none, as a token would not.
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "the certificate ends now");
    }
    var caller =
        new Caller(
            AccessTokenClaims.newJti(granted.epoch()),
            null,
            granted.epoch(),
            granted.agent(),
            workload.issuer(),
            workload.subject(),
            granted.destination().name(),
            Set.copyOf(granted.scopes()),
            null,
            way.thumbprint());
    known.put(way, new Known(caller, until, basis));
    return caller;
  }
}
