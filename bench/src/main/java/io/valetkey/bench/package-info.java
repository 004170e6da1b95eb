/**
 * Answers: what does it cost, and what would the alternative cost? Started by {@code
 * bench/run-load} and by JMH. Must never be on a production class path, and must never end a
 * process that it did not start.
 */
@NullMarked
package io.valetkey.bench;

import org.jspecify.annotations.NullMarked;
