/**
 * Answers: has somebody approved this very request? Called by the gateway, which asks and uses, and
 * by the admin API and the console, where people decide. Must never let one approval pass two
 * requests, or one that is not exactly what was shown.
 */
@NullMarked
package io.valetkey.broker.approval;

import org.jspecify.annotations.NullMarked;
