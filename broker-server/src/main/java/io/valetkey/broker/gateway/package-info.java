/**
 * Answers: carry this request out for me. Verifies, checks, puts the credential in, streams the
 * answer. Must never connect, look a name up or fetch a credential before the request is allowed.
 */
@NullMarked
package io.valetkey.broker.gateway;

import org.jspecify.annotations.NullMarked;
