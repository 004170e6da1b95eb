/**
 * Answers: what the platform team sees and does in a browser. Called by browsers only, which sign
 * in here. Must never show a secret, run what an agent wrote, nor decide anything itself.
 */
@NullMarked
package io.valetkey.broker.console;

import org.jspecify.annotations.NullMarked;
