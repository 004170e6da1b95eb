/**
 * Answers: in which ways do we say no, and what does each mean on the wire? Called by every package
 * that can refuse. Must never know where a refusal came from or how it is transported.
 */
@NullMarked
package io.valetkey.broker.problem;

import org.jspecify.annotations.NullMarked;
