/**
 * Answers: may I have a token? The token endpoint and what stands beside it. Must never send a
 * token whose audit record is not durable.
 */
@NullMarked
package io.valetkey.broker.issuance;

import org.jspecify.annotations.NullMarked;
