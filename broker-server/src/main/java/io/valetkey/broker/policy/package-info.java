/**
 * Answers: what may an agent have, and where may it be used? Holds the resources, their store, the
 * compiled snapshot and the pure decision rules. Called by access and admin. Must never read the
 * database while it decides.
 */
@NullMarked
package io.valetkey.broker.policy;

import org.jspecify.annotations.NullMarked;
