/**
 * Answers: may we connect to this address? Called by everything that opens a connection to a place
 * that somebody else named. Must never connect to an address that it did not check itself.
 */
@NullMarked
package io.valetkey.broker.net;

import org.jspecify.annotations.NullMarked;
