package io.valetkey.broker.condition;

import io.valetkey.broker.problem.ProblemCode;

/** What the conditions of a rule say about a request. */
public sealed interface Verdict {

  /** The request has everything that they ask for. */
  Verdict MET = new Met();

  /** The request has everything that they ask for. */
  record Met() implements Verdict {}

  /**
   * The request does not have it, or that cannot be told from the request itself.
   *
   * @param reason the true reason
   * @param detail one sentence for the audit record; nothing of the request is in it
   */
  record Unmet(ProblemCode reason, String detail) implements Verdict {}

  /**
   * They ask about a part of the request that is not known.
   *
   * @param part which part
   * @param mostBytes of a body, how many bytes at most would be looked at; else 0
   */
  record Missing(Part part, int mostBytes) implements Verdict {}

  /** The request does not have what is asked for. */
  static Verdict unmet(String detail) {
    return new Unmet(ProblemCode.CONDITION_FALSE, detail);
  }

  /** Whether it has cannot be told. */
  static Verdict failed(String detail) {
    return new Unmet(ProblemCode.CONDITION_FAILED, detail);
  }
}
