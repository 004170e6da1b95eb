package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** The audit trail as the gateway needs it. */
public interface Trail {

  /** Opens the record of a request, before the first check. */
  Entry open();

  /** Opens the record of the end of what was allowed and went on, such as a WebSocket. */
  Entry openEnd();

  /** A record that waits for its outcome. Not safe for several threads at a time. */
  interface Entry {

    /** The id that the caller is told. */
    UUID decisionId();

    /** Notes whose verified token it was. */
    void caller(Caller caller);

    /** Notes the destination that was asked for. */
    void destination(String name);

    /** Notes a further fact; never a secret. */
    void detail(String name, Object value);

    /**
     * Completes the record.
     *
     * @param epoch the stop epoch of the decision
     * @return true when durable, false if a stop came between and it must be decided again
     */
    CompletableFuture<Boolean> granted(long epoch);

    /** Completes the record of a request that was not allowed. */
    CompletableFuture<?> refused(ProblemCode code, String detail);

    /** Completes the record of a request that was allowed and could not be served. */
    CompletableFuture<?> failed(ProblemCode code, String detail);

    /** Completes the record of an end that was nobody's failure. */
    CompletableFuture<?> ended();

    /** Writes how often something was allowed that is on record already. */
    CompletableFuture<?> counted(String agent, String destination, String rule, long count);
  }
}
