/**
 * Answers: has another replica changed something? Called by whoever keeps a view of a table in
 * memory. Must never be the only way to notice: every subscriber is also called by the poll.
 */
@NullMarked
package io.valetkey.broker.feed;

import org.jspecify.annotations.NullMarked;
