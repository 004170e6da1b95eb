package io.valetkey.broker.admin;

import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.VerifiedWorkload;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.problem.RefusedException;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sensors as their clusters know them: workloads that prove who they are as agents do, and that the
 * operator has named. Each speaks for the cluster that vouches for it and for no other.
 */
public final class Sensors {

  private static final Logger log = LoggerFactory.getLogger(Sensors.class);

  private final IdentityVerifier identities;
  private final PolicyView policy;
  private final Map<String, Set<String>> subjectsByIssuer;

  /**
   * Makes it.
   *
   * @param subjectsByIssuer the subjects that are sensors, by the name of their issuer
   */
  public Sensors(
      IdentityVerifier identities, PolicyView policy, Map<String, Set<String>> subjectsByIssuer) {
    this.identities = identities;
    this.policy = policy;
    this.subjectsByIssuer = Map.copyOf(subjectsByIssuer);
  }

  /**
   * The sensor whose identity token this is, or null if it is not one's. What is also an agent is
   * no sensor: an agent's tokens are worth nothing here.
   *
   * @throws RefusedException if the issuer's keys or its review cannot be had
   */
  @Nullable Admin authenticate(String token) {
    if (subjectsByIssuer.isEmpty()) {
      return null;
    }
    VerifiedWorkload workload = verified(token);
    if (workload == null || workload.useOnce() || !isNamed(workload)) {
      return null;
    }
    var agents =
        policy.current().agentsOf(workload.issuer(), workload.subject(), workload.claims());
    if (!agents.isEmpty()) {
      log.warn(
          "{} of {} is named as a sensor and is an agent", workload.subject(), workload.issuer());
      return null;
    }
    return new Admin(
        workload.subject() + " of " + workload.issuer(), Set.of(Role.SENSOR), workload.issuer());
  }

  private boolean isNamed(VerifiedWorkload workload) {
    return subjectsByIssuer.getOrDefault(workload.issuer(), Set.of()).contains(workload.subject());
  }

  private @Nullable VerifiedWorkload verified(String token) {
    try {
      return identities.verify(token);
    } catch (RefusedException e) {
      if (e.code().status() >= 500) {
        throw e;
      }
      return null;
    }
  }
}
