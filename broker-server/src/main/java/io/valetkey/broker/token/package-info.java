/**
 * Answers: is this access token ours, and what does it say? Mints and verifies access tokens, keeps
 * signing keys. Must never let a private key leave the memory of the replica that made it.
 */
@NullMarked
package io.valetkey.broker.token;

import org.jspecify.annotations.NullMarked;
