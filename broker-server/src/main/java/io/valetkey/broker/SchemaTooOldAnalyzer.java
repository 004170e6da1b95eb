package io.valetkey.broker;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Prints what to do about the schema instead of a stack trace. */
final class SchemaTooOldAnalyzer extends AbstractFailureAnalyzer<SchemaTooOldException> {

  @Override
  protected FailureAnalysis analyze(Throwable rootFailure, SchemaTooOldException cause) {
    return new FailureAnalysis(
        cause.getMessage(),
        "Run this release once with valetkey.roles=migrate and the login that owns the schema, or"
            + " let it migrate at its start with valetkey.migrations=start.",
        cause);
  }
}
