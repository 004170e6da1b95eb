/**
 * Answers: what would a declared set of resources change, and whom would it stop or let through?
 * Called by the admin API with sets that people send, and by itself with those of a folder. Must
 * never decide in a way of its own: a rehearsal asks the code that decides for real.
 */
@NullMarked
package io.valetkey.broker.declaration;

import org.jspecify.annotations.NullMarked;
