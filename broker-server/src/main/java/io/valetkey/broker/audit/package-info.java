/**
 * Answers: what happened? Appends one record for each decision, durable before anything leaves.
 * Called by every package that decides. Must never block longer than its bound, nor lose a record
 * that it reported as durable.
 */
@NullMarked
package io.valetkey.broker.audit;

import org.jspecify.annotations.NullMarked;
