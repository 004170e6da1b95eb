package io.valetkey.broker.gateway;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.ProblemCode;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** The gateway's records in the audit log of this replica. */
public final class AuditTrail implements Trail {

  private static final String ACTION = "gateway.request";
  private static final String END = "gateway.end";

  /** A count or an end speaks of decisions that were recorded before: no epoch fits it. */
  private static final long ANY_EPOCH = -1;

  private final AuditLog log;

  /** Writes to this log. */
  public AuditTrail(AuditLog log) {
    this.log = log;
  }

  @Override
  public Entry open() {
    return new RecordEntry(log.open(ACTION));
  }

  @Override
  public Entry openEnd() {
    return new RecordEntry(log.open(END));
  }

  private record RecordEntry(OpenRecord open) implements Entry {

    @Override
    public UUID decisionId() {
      return open.decisionId();
    }

    @Override
    public void caller(Caller caller) {
      open.agent(caller.agent()).workload(caller.issuer(), caller.subject()).jti(caller.jti());
      open.scopes(String.join(" ", caller.scopes()));
      if (caller.kid() == null && caller.certificateThumbprint() != null) {
        open.detail("certificate", caller.certificateThumbprint());
      }
    }

    @Override
    public void destination(String name) {
      open.destination(name);
    }

    @Override
    public void detail(String name, Object value) {
      open.detail(name, value);
    }

    @Override
    public CompletableFuture<Boolean> granted(long epoch) {
      return open.granted(epoch).thenApply(receipt -> receipt == OpenRecord.Receipt.DURABLE);
    }

    @Override
    public CompletableFuture<?> refused(ProblemCode code, String detail) {
      return open.refused(code, detail);
    }

    @Override
    public CompletableFuture<?> failed(ProblemCode code, String detail) {
      return open.failed(code, detail);
    }

    @Override
    public CompletableFuture<?> ended() {
      return open.granted(ANY_EPOCH);
    }

    @Override
    public CompletableFuture<?> counted(String agent, String destination, String rule, long count) {
      open.agent(agent).destination(destination).detail("rule", rule).detail("count", count);
      return open.granted(ANY_EPOCH);
    }
  }
}
