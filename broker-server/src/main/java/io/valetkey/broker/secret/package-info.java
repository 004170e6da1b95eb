/**
 * Answers: how does a secret travel through the code without being printed? Called by everyone who
 * touches a credential. Must never write, log or serialise what it carries.
 */
@NullMarked
package io.valetkey.broker.secret;

import org.jspecify.annotations.NullMarked;
