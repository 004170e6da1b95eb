/**
 * Answers: where is a real Vault, PostgreSQL or Kubernetes API server to run against? Called by
 * tests and by the quick start. Must never be on the class path of a deployed broker.
 */
@NullMarked
package io.valetkey.realparts;

import org.jspecify.annotations.NullMarked;
