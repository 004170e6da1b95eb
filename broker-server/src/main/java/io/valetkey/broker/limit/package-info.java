/**
 * Answers: how much of a grant's limits is left, over all replicas? Called by the decision, which
 * must not wait, so everything that needs the database happens beside it. Must never let more
 * through because the database is away.
 */
@NullMarked
package io.valetkey.broker.limit;

import org.jspecify.annotations.NullMarked;
