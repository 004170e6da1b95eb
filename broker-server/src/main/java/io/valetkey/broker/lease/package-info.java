/**
 * Answers: which dynamic credentials are out, whose are they, and are they gone when they must be?
 * Hands out, renews, ends and reconciles leases at Vault so that a crash at any moment leaves none
 * that cannot be taken back. Called by issuance and admin. Must never keep a leased secret, nor the
 * token that owns it.
 */
@NullMarked
package io.valetkey.broker.lease;

import org.jspecify.annotations.NullMarked;
