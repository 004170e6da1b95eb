/**
 * Answers: is the audit trail still what was written? Makes signed checkpoints, verifies, and drops
 * what is older than the retention. Called by a timer, the admin API and an auditor's command line.
 * Must never hold up what writes the trail, nor call a trail sound that it did not check.
 */
@NullMarked
package io.valetkey.broker.evidence;

import org.jspecify.annotations.NullMarked;
