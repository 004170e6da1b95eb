package io.valetkey.broker.audit;

import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.problem.ProblemCode;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A record that was opened before the first check and waits for its outcome. It belongs to the one
 * request that opened it and is not safe for use by several threads at a time.
 */
public final class OpenRecord {

  /** What the writer answers once it has tried. */
  public enum Receipt {
    /** The record is on disk: what it speaks of may leave. */
    DURABLE,
    /** A stop came between the decision and the record, so nothing was written: decide again. */
    DECIDE_AGAIN
  }

  /** The epoch of a record that is true whatever was stopped meanwhile, such as a refusal. */
  public static final long ANY_EPOCH = -1;

  private final AuditLog auditLog;
  private final String action;
  private final Instant time;
  private final UUID decisionId;
  private final Map<String, Object> details = new LinkedHashMap<>();
  private @Nullable String agent;
  private @Nullable String issuer;
  private @Nullable String subject;
  private @Nullable String destination;
  private @Nullable String scopes;
  private @Nullable String jti;

  OpenRecord(AuditLog auditLog, String action, Instant time) {
    this.auditLog = auditLog;
    this.action = action;
    this.time = time;
    this.decisionId = DecisionId.at(time);
  }

  /** The id that the caller is told, whatever the outcome. */
  public UUID decisionId() {
    return decisionId;
  }

  /** When the request arrived. */
  public Instant time() {
    return time;
  }

  /** Notes who it was, as far as it was verified. */
  public OpenRecord workload(String issuerName, String verifiedSubject) {
    this.issuer = issuerName;
    this.subject = verifiedSubject;
    return this;
  }

  /** Notes the agent. */
  public OpenRecord agent(String name) {
    this.agent = name;
    return this;
  }

  /** Notes the destination that was asked for. */
  public OpenRecord destination(@Nullable String name) {
    this.destination = name;
    return this;
  }

  /** Notes the scopes, separated by spaces. */
  public OpenRecord scopes(@Nullable String names) {
    this.scopes = names;
    return this;
  }

  /** Notes the id of the access token that was issued or used. */
  public OpenRecord jti(String id) {
    this.jti = id;
    return this;
  }

  /**
   * Notes a further fact: a string, a number, a boolean, or a list or map of them. Never a secret.
   */
  public OpenRecord detail(String name, Object value) {
    details.put(name, value);
    return this;
  }

  /**
   * Completes the record as granted.
   *
   * @param epoch the stop epoch under which it was decided
   * @return completes when the record is durable or must be decided again; exceptionally with a
   *     {@link io.valetkey.broker.problem.RefusedException} of {@link
   *     ProblemCode#AUDIT_UNAVAILABLE} within the audit's deadline
   */
  public CompletableFuture<Receipt> granted(long epoch) {
    return auditLog.append(completed(Outcome.GRANTED, null), epoch);
  }

  /**
   * Completes the record as refused.
   *
   * @param detail one sentence that says what did not fit; never a secret
   * @return as for {@link #granted}
   */
  public CompletableFuture<Receipt> refused(ProblemCode reason, String detail) {
    detail("detail", detail);
    return auditLog.append(completed(Outcome.REFUSED, reason), ANY_EPOCH);
  }

  /**
   * Completes the record as failed: the request was allowed, or undecidable, and could not be
   * served.
   */
  public CompletableFuture<Receipt> failed(ProblemCode reason, String detail) {
    detail("detail", detail);
    return auditLog.append(completed(Outcome.FAILED, reason), ANY_EPOCH);
  }

  /** The record with an outcome, for a caller that writes it within a transaction of its own. */
  public AuditRecord completed(Outcome outcome, @Nullable ProblemCode reason) {
    return new AuditRecord(
        time,
        decisionId,
        action,
        outcome,
        reason == null ? null : reason.code(),
        agent,
        issuer,
        subject,
        destination,
        scopes,
        jti,
        details);
  }
}
