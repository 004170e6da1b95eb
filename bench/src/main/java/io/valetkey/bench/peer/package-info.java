/**
 * What people would use instead of the broker, set up as favourably as its documentation allows.
 * Runs in a process of its own and knows nothing of the rest of this module.
 */
@NullMarked
package io.valetkey.bench.peer;

import org.jspecify.annotations.NullMarked;
