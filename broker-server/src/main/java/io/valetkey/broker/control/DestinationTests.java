package io.valetkey.broker.control;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.upstream.SelfTestStep;
import io.valetkey.broker.upstream.SelfTests;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Tries destinations out for somebody, for real, and records who did. */
public final class DestinationTests {

  private static final Set<String> METHODS = Set.of("GET", "HEAD");

  private final LeaseTest leased;
  private final SelfTests brokered;
  private final PolicyView policy;
  private final AuditLog auditLog;

  /** Tests the destinations of this policy. */
  public DestinationTests(
      LeaseTest leased, SelfTests brokered, PolicyView policy, AuditLog auditLog) {
    this.leased = leased;
    this.brokered = brokered;
    this.policy = policy;
    this.auditLog = auditLog;
  }

  /** How a leased destination is tested. */
  @FunctionalInterface
  public interface LeaseTest {
    /**
     * Makes a credential, uses it and takes it back.
     *
     * @param scope the scope; null for the only one that there is
     * @throws RefusedException {@code invalid_request} if it cannot be told what to test
     */
    List<SelfTestStep> run(Destination destination, @Nullable String scope);
  }

  /**
   * What to test: a scope of a leased destination, a request to a brokered one.
   *
   * @param scope the scope; null for the only one
   * @param method {@code GET} or {@code HEAD}, with a path only; null for {@code GET}
   * @param path what to ask for, beginning with a slash; null to send no request
   */
  public record Wish(@Nullable String scope, @Nullable String method, @Nullable String path) {

    private void require(Manner manner) {
      switch (manner) {
        case BROKERED -> {
          if (scope != null) {
            throw invalid("A brokered destination is tested by a path, not by a scope.");
          }
        }
        case LEASED -> {
          if (path != null || method != null) {
            throw invalid("A leased destination is tested by a scope, not by a path.");
          }
        }
        case TUNNELLED ->
            throw invalid("A tunnel has no credential to test: open one with a token for it.");
      }
      if (method != null && (path == null || !METHODS.contains(method))) {
        throw invalid("The method must be GET or HEAD, and goes with a path.");
      }
      if (path != null && !path.startsWith("/")) {
        throw invalid("The path must start with a slash.");
      }
    }

    private static RefusedException invalid(String detail) {
      return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
    }
  }

  /**
   * Tests a destination; the audit record is durable when this returns.
   *
   * @return what was tried, in order
   * @throws RefusedException {@code not_found} if there is no such destination, {@code
   *     invalid_request} if the wish does not fit its kind
   */
  public List<SelfTestStep> run(String name, Wish wish, Admin by) {
    Destination destination = policy.current().destination(name);
    if (destination == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such destination.");
    }
    wish.require(destination.kind().manner());
    OpenRecord record = auditLog.open("admin.test");
    record.destination(name).detail("actor", by.name());
    return switch (destination.kind().manner()) {
      case BROKERED -> brokered(destination, wish, record);
      case LEASED -> leased(destination, wish, record);
      case TUNNELLED -> throw new IllegalStateException("refused before");
    };
  }

  /** Something of ours goes upstream, so that is on record first. */
  private List<SelfTestStep> brokered(Destination destination, Wish wish, OpenRecord record) {
    String method = wish.method() == null ? "GET" : wish.method();
    if (wish.path() != null) {
      record.detail("method", method).detail("path", wish.path());
    }
    auditLog.await(record.granted(OpenRecord.ANY_EPOCH));
    return brokered.run(destination.name(), method, wish.path());
  }

  private List<SelfTestStep> leased(Destination destination, Wish wish, OpenRecord record) {
    try {
      List<SelfTestStep> steps = leased.run(destination, wish.scope());
      long failed = steps.stream().filter(SelfTestStep::failed).count();
      record.detail("failed_steps", failed);
      auditLog.await(
          failed > 0
              ? record.failed(ProblemCode.CREDENTIAL_UNAVAILABLE, "The self-test failed")
              : record.granted(OpenRecord.ANY_EPOCH));
      return steps;
    } catch (RefusedException e) {
      auditLog.await(record.refused(e.code(), e.detail()));
      throw e;
    }
  }
}
