package io.valetkey.realparts;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/** Lets a test run where its real parts can be had. */
final class PartCondition implements ExecutionCondition {

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    try {
      if (AnnotationSupport.isAnnotated(context.getElement(), NeedsVault.class)) {
        VaultProgram.find();
      }
      if (AnnotationSupport.isAnnotated(context.getElement(), NeedsKubernetes.class)) {
        Program.KUBERNETES.built();
      }
      if (AnnotationSupport.isAnnotated(context.getElement(), NeedsHelm.class)) {
        Program.HELM.built();
      }
      if (AnnotationSupport.isAnnotated(context.getElement(), NeedsH2spec.class)) {
        Program.H2SPEC.built();
      }
      if (AnnotationSupport.isAnnotated(context.getElement(), NeedsWstest.class)) {
        Program.WSTEST.built();
      }
      AnnotationSupport.findAnnotation(context.getElement(), NeedsPrograms.class)
          .ifPresent(PartCondition::requirePrograms);
      return ConditionEvaluationResult.enabled("the real parts are there");
    } catch (MissingPartException e) {
      if ("true".equals(System.getenv("CI"))) {
        throw e;
      }
      System.err.println("SKIPPED " + context.getDisplayName() + ": " + e.getMessage());
      return ConditionEvaluationResult.disabled(e.getMessage());
    }
  }

  private static void requirePrograms(NeedsPrograms needed) {
    for (String program : needed.value()) {
      if (Program.onPath(program).isEmpty()) {
        throw new MissingPartException(
            program + " is not on the PATH; on Debian tools/install-debian-parts gets it");
      }
    }
  }
}
