package io.valetkey.broker.lease;

import io.valetkey.broker.access.Holder;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.LeaseEngine;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.upstream.SelfTestStep;
import io.valetkey.broker.upstream.VaultConnection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.vault.VaultException;
import org.springframework.web.client.RestClientException;

/**
 * Makes a credential of a leased destination, uses it where it can be used, takes it back and looks
 * whether it is gone, at Vault and at the target. The credential never leaves this process, and it
 * is recorded like a lease, so that a crash in the middle leaves nothing behind either.
 */
public final class LeaseSelfTest {

  /** No agent has this name, so nothing else is found under it. */
  private static final String NOBODY = "";

  private final LeaseHandouts handouts;
  private final LeaseVault vault;
  private final EndLease endLease;
  private final TargetProbe probe;

  LeaseSelfTest(LeaseHandouts handouts, LeaseVault vault, EndLease endLease, TargetProbe probe) {
    this.handouts = handouts;
    this.vault = vault;
    this.endLease = endLease;
    this.probe = probe;
  }

  /**
   * Tests a scope of a destination.
   *
   * @param scope the scope; null for the only one that there is
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it cannot be told what to test
   */
  public List<SelfTestStep> run(Destination destination, @Nullable String scope) {
    if (destination.kind().manner() != Manner.LEASED) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "Only leased destinations can be tested.");
    }
    String tested = scope(destination, scope);
    LeaseSource source = LeaseSource.of(destination, tested);
    List<SelfTestStep> steps = new ArrayList<>();
    lint(source, steps);
    UUID id = UUID.randomUUID();
    var nobody = new Holder(NOBODY, NOBODY, NOBODY, null, 0, destination.name(), Set.of(tested));
    handouts.intend(id, nobody, 0, tested, id.toString(), source);
    var attempt = new Attempt(id, source, steps);
    try (TargetProbe.Session session = attempt.run()) {
      attempt.abandon();
      if (session != null) {
        takeBack(id, source, session, steps);
      }
    } finally {
      attempt.abandon();
    }
    return steps;
  }

  private static String scope(Destination destination, @Nullable String wanted) {
    List<String> leased =
        destination.scopes().entrySet().stream()
            .filter(scope -> scope.getValue().lease() != null)
            .map(Map.Entry::getKey)
            .filter(name -> wanted == null || wanted.equals(name))
            .sorted()
            .toList();
    if (leased.size() != 1) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST,
          leased.isEmpty()
              ? "The destination has no such scope to test."
              : "The destination has several scopes: name one.");
    }
    return leased.getFirst();
  }

  private void lint(LeaseSource source, List<SelfTestStep> steps) {
    if (source.fixed() || !source.engine().hasStaticRoles()) {
      return;
    }
    Optional<LeaseVault.Templates> templates = vault.templates(source.mount(), source.role());
    if (templates.isEmpty()) {
      steps.add(
          new SelfTestStep("template", "skipped", "Our login may not read the role at Vault"));
      return;
    }
    List<String> findings =
        TemplateLint.check(
            source.engine(),
            templates.get().creation(),
            templates.get().revocation(),
            templates.get().renewal());
    findings.forEach(finding -> steps.add(new SelfTestStep("template", "failed", finding)));
    if (findings.isEmpty()) {
      steps.add(
          new SelfTestStep(
              "template", "passed", "Creation, renewal and revocation are as they should"));
    }
  }

  /** The making of one credential, and what is known of it at each moment. */
  private final class Attempt {

    private final UUID id;
    private final LeaseSource source;
    private final List<SelfTestStep> steps;
    private @Nullable VaultCredential made;
    private boolean asking;
    private boolean abandoned;

    Attempt(UUID id, LeaseSource source, List<SelfTestStep> steps) {
      this.id = id;
      this.source = source;
      this.steps = steps;
    }

    TargetProbe.@Nullable Session run() {
      String step = "owner_token";
      try {
        OwnerToken owner = vault.createOwner(id, source);
        steps.add(
            new SelfTestStep(
                step, "passed", "Made by the token role, with the policy of this role"));
        if (!handouts.open(id, owner.accessor())) {
          steps.add(new SelfTestStep(step, "failed", "The test was interrupted"));
          return null;
        }
        step = "credential";
        VaultCredential credential = ask(owner);
        steps.add(
            new SelfTestStep(
                step, "passed", "Made; it lives " + credential.life().toSeconds() + " s"));
        if (source.engine() != LeaseEngine.POSTGRESQL) {
          steps.add(new SelfTestStep("use", "skipped", "There is no driver for this engine here"));
          return TargetProbe.Session.none(credential);
        }
        return probe.connect(source, credential, steps);
      } catch (VaultException | RestClientException | IllegalStateException e) {
        steps.add(new SelfTestStep(step, "failed", LeaseVault.said(e)));
        return null;
      }
    }

    private VaultCredential ask(OwnerToken owner) {
      asking = true;
      try {
        VaultCredential credential = vault.read(owner, source);
        made = credential;
        asking = false;
        return credential;
      } catch (VaultException e) {
        // Vault said no; without an answer it may still be making one.
        asking = VaultConnection.status(e) == 0;
        throw e;
      }
    }

    /** Whatever came of it, what was made is given up, once, and may be ended from here on. */
    void abandon() {
      if (!abandoned) {
        abandoned = true;
        handouts.abandon(id, made, !asking);
      }
    }
  }

  private void takeBack(
      UUID id, LeaseSource source, TargetProbe.Session session, List<SelfTestStep> steps) {
    boolean gone = endLease.attempt(id);
    steps.add(
        gone
            ? new SelfTestStep(
                "revoke", "passed", "Vault has neither the credential nor its owner token")
            : new SelfTestStep(
                "revoke",
                "failed",
                "Vault could not take it back; it is tried again: see the lease"));
    if (source.fixed()) {
      steps.add(
          new SelfTestStep(
              "login",
              "skipped",
              "A static login ends by another password, which a test does not set"));
    } else if (gone) {
      session.requireGone(steps);
    }
  }
}
