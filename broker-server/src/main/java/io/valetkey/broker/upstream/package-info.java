/**
 * Answers: what is the real credential of this destination? Reads it from Vault or a file, keeps it
 * for a short time. Called by the gateway. Must never hand a credential to anything but the way
 * out.
 */
@NullMarked
package io.valetkey.broker.upstream;

import org.jspecify.annotations.NullMarked;
