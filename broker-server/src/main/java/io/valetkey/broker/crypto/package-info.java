/**
 * Answers: which provider signs and verifies, and with which algorithms? Called by whoever holds a
 * key. Must never fall back to a slower or weaker provider silently.
 */
@NullMarked
package io.valetkey.broker.crypto;

import org.jspecify.annotations.NullMarked;
