package io.valetkey.broker.gateway;

import io.valetkey.broker.access.NeededApproval;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.limit.GrantMeter;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.problem.RefusedException;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The questions that the gateway has for the rest of the broker. None of them blocks. */
public interface Permissions {

  /** The answer to a request that is not refused. */
  sealed interface Answer permits Permit, BodyNeeded {}

  /**
   * What was allowed.
   *
   * @param rule the rule that allowed it, as {@code scope:pattern}; the scope alone of a tunnel
   * @param epoch the stop epoch under which this is true
   * @param target where to
   * @param meter what the cost of the request is told to; its end must be told too
   * @param approval what has to be there besides; null for nothing
   */
  record Permit(
      String rule,
      long epoch,
      Destination target,
      GrantMeter meter,
      @Nullable NeededApproval approval)
      implements Answer {

    /** What needs no approval. */
    Permit(String rule, long epoch, Destination target, GrantMeter meter) {
      this(rule, epoch, target, meter, null);
    }
  }

  /**
   * It depends on what the body says: ask again with it.
   *
   * @param target where to
   * @param mostBytes how many bytes at most are looked at; a larger body is never allowed
   */
  record BodyNeeded(Destination target, int mostBytes) implements Answer {}

  /**
   * Verifies an access token.
   *
   * @throws RefusedException if it is not acceptable
   */
  Caller verify(String token);

  /**
   * Says who calls by the certificate of a connection alone, in whose handshake its key was proved.
   * The scopes are all that is granted at the origin.
   *
   * @param thumbprint that of the certificate
   * @param chain the certificate and what came with it, should they have to be looked at
   * @param origin scheme, host and port of what is asked for
   * @return may complete on another thread; fails with a {@link RefusedException} if it is nobody's
   */
  CompletableFuture<Caller> identify(
      String thumbprint, Supplier<List<X509Certificate>> chain, String origin);

  /**
   * What came with a token to prove that its holder has the key or certificate it is bound to.
   *
   * @param announced whether the token came with the scheme {@code DPoP}
   * @param proofs the values of all {@code DPoP} fields
   * @param method the method of the request
   * @param uri the address of the request at the gateway, without the query
   * @param certificate asked for the thumbprint of the connection's certificate, null if none
   */
  record Possession(
      boolean announced,
      List<String> proofs,
      String method,
      String uri,
      Supplier<@Nullable String> certificate) {}

  /**
   * Checks that a token that is bound to a key came with its proof, and any other without one (RFC
   * 9449 section 7.1); one that is bound to a certificate on a connection of it (RFC 8705 section
   * 3).
   *
   * @param token null if a certificate stands in its place
   * @return completes at once for a token that is bound to no key; fails with a {@link
   *     RefusedException} of {@link io.valetkey.broker.problem.ProblemCode#INVALID_TOKEN} if the
   *     proof is missing or wrong
   */
  CompletableFuture<Void> prove(@Nullable String token, Caller caller, Possession possession);

  /**
   * How a destination is used, if this is its origin. Decides nothing; a name in its place does.
   *
   * @param origin scheme, host and port, the port always written
   * @return null if it is not its origin
   * @throws RefusedException if that cannot be told now
   */
  @Nullable Manner atOrigin(String destination, String origin);

  /**
   * Decides whether the request may be carried out, now: stops, agent, destination, grant, scopes,
   * limits.
   *
   * @param facts the request besides; everything but its body is known
   * @throws RefusedException if it may not, or if that cannot be decided
   */
  Answer authorise(
      Caller caller, String destination, String method, RequestPath path, RequestFacts facts);

  /**
   * Decides whether the holder may open a tunnel whose TLS ends here, and in which each request is
   * decided for itself: stops, agent, destination, grant.
   *
   * @return where to
   * @throws RefusedException if it may not, or if that cannot be decided
   */
  Destination authoriseInterception(Caller caller, String destination);

  /**
   * Decides whether the holder may open a tunnel that nobody looks into: stops, agent, destination,
   * grant, scopes, limits.
   *
   * @throws RefusedException if it may not, or if that cannot be decided
   */
  Permit authoriseTunnel(Caller caller, String destination);

  /**
   * Whether what was allowed may still be acted upon, because this gateway would know if it had
   * been stopped. Asked for each piece that is passed on.
   */
  boolean areCurrent();
}
