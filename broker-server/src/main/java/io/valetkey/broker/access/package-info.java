/**
 * Answers: is this allowed, now? The one authorise function of every way in. Must never know which
 * way in is asking.
 */
@NullMarked
package io.valetkey.broker.access;

import org.jspecify.annotations.NullMarked;
