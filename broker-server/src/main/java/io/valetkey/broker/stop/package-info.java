/**
 * Answers: has somebody ordered this to end? Holds the orders, their order relative to issued
 * tokens, and each replica's view of them. Called by access and admin. Must never answer from a
 * view that is older than its bound.
 */
@NullMarked
package io.valetkey.broker.stop;

import org.jspecify.annotations.NullMarked;
