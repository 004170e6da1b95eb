/**
 * Answers: who is asking? Turns a presented proof into a verified workload. Called by issuance.
 * Must never cause a network request because of what an unverified token says.
 */
@NullMarked
package io.valetkey.broker.identity;

import org.jspecify.annotations.NullMarked;
