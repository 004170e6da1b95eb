/**
 * Answers: who runs the broker, what they may, and what they ask and order, whatever they come by.
 * Called by the admin API and the console. Must never decide for an agent, nor know of HTTP.
 */
@NullMarked
package io.valetkey.broker.control;

import org.jspecify.annotations.NullMarked;
