package io.valetkey.broker.issuance;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.access.TokenWish;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.identity.CompactJws;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.identity.VerifiedWorkload;
import io.valetkey.broker.lease.HandedLease;
import io.valetkey.broker.lease.LeaseWish;
import io.valetkey.broker.lease.Leases;
import io.valetkey.broker.policy.LeaseEngine;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.PodsSeen;
import io.valetkey.broker.token.AccessToken;
import io.valetkey.broker.token.AccessTokens;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;

/**
 * {@code GET /v1/aws-credentials/{destination}}: what an AWS SDK asks for that was told {@code
 * AWS_CONTAINER_CREDENTIALS_FULL_URI} and {@code AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE}. It sends
 * the file's content as the whole {@code Authorization} value, so this endpoint, and no other,
 * takes an identity token or an access token, bare or as a bearer token.
 */
final class AwsCredentials extends HolderEndpoint {

  private static final long serialVersionUID = 1L;

  private final transient IdentityVerifier identities;
  private final transient UsedOnce usedOnce;
  private final transient PodsSeen pods;
  private final transient AccessTokens tokens;
  private final transient TokenHolders holders;
  private final transient Access access;
  private final transient Leases leases;

  AwsCredentials(
      IdentityVerifier identities,
      UsedOnce usedOnce,
      PodsSeen pods,
      AccessTokens tokens,
      TokenHolders holders,
      Access access,
      Leases leases,
      AuditLog auditLog,
      EndpointTelemetry telemetry) {
    super(auditLog, telemetry);
    this.identities = identities;
    this.usedOnce = usedOnce;
    this.pods = pods;
    this.tokens = tokens;
    this.holders = holders;
    this.access = access;
    this.leases = leases;
  }

  @Override
  String action(HttpServletRequest request) {
    return "lease.create";
  }

  @Override
  void answer(HttpServletRequest request, HttpServletResponse response, OpenRecord record)
      throws IOException {
    if (!request.getMethod().equals("GET")) {
      response.setHeader("Allow", "GET");
      throw new RefusedException(ProblemCode.METHOD_NOT_ALLOWED, "Only GET is supported");
    }
    String destination = request.getRequestURI().substring(OAuthPaths.AWS_CREDENTIALS.length() + 1);
    Holder holder = holder(request, destination, record);
    // Each process of a workload asks for itself, and again before the end: no request repeats
    // another.
    var wish =
        new LeaseWish(holder, destination, null, UUID.randomUUID().toString(), LeaseEngine.AWS);
    JsonAnswer.send(response, 200, answer(leases.issue(wish, record)));
  }

  private Holder holder(HttpServletRequest request, String destination, OpenRecord record) {
    String value = TokenHolders.authorization(request);
    boolean bearer = value.toLowerCase(Locale.ROOT).startsWith("bearer ");
    String compact = bearer ? value.substring("bearer ".length()) : value;
    if (!ResourceId.isName(destination)) {
      throw new RefusedException(ProblemCode.DESTINATION_UNKNOWN, "That is not a name");
    }
    record.destination(destination);
    if ("at+jwt".equals(CompactJws.parse(compact).typ())) {
      AccessToken token = tokens.verify(compact);
      holders.requireProof(request, compact, token, false);
      record.agent(token.agent()).workload(token.issuer(), token.subject()).jti(token.jti());
      return TokenHolders.holder(token);
    }
    return byIdentity(compact, destination, record);
  }

  /** As at the token endpoint, without a token in between: who it is, and what is granted to it. */
  private Holder byIdentity(String compact, String destination, OpenRecord record) {
    VerifiedWorkload workload = identities.verify(compact);
    record.workload(workload.issuer(), workload.subject());
    var wish =
        new TokenWish(
            workload.issuer(), workload.subject(), workload.claims(), destination, Set.of());
    return switch (access.decideToken(wish)) {
      case Decision.Granted granted -> {
        usedOnce.claimIdentity(workload);
        pods.note(workload, granted.agent());
        yield new Holder(
            granted.agent(),
            workload.issuer(),
            workload.subject(),
            null,
            granted.epoch(),
            destination,
            Set.copyOf(granted.scopes()));
      }
      case Decision.Refused refused -> throw new RefusedException(refused.code(), refused.detail());
      case Decision.Undecidable no -> throw new RefusedException(no.code(), no.detail());
    };
  }

  private static Map<String, Object> answer(HandedLease handed) {
    Map<String, Object> credential = handed.credential().reveal();
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("AccessKeyId", credential.get("access_key_id"));
    answer.put("SecretAccessKey", credential.get("secret_access_key"));
    // Present even where there is none: some SDKs require the member, all take null for absent.
    answer.put("Token", credential.get("session_token"));
    // Whole seconds, as AWS writes it: not every SDK takes more.
    Instant end = Objects.requireNonNull(handed.lease().expiresAt());
    answer.put("Expiration", end.truncatedTo(ChronoUnit.SECONDS).toString());
    return answer;
  }
}
