/**
 * Answers: does a request have what a rule asks for beyond method and path, such as its query or
 * what its body says? Called by policy, which compiles conditions and asks them, and by those who
 * describe a request to it. Must never repair what has two readings, nor guess what is not known.
 */
@NullMarked
package io.valetkey.broker.condition;

import org.jspecify.annotations.NullMarked;
