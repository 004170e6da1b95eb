/**
 * Gets a workload short-lived access tokens for single destinations, and sends its requests to the
 * gateway with them. Agent programs call it; it depends on the JDK only. It must never print,
 * persist or send a token anywhere but the broker (identity tokens) and the gateway (access
 * tokens), and never hand out a token that it knows to have ended.
 */
@NullMarked
package io.valetkey.client;

import org.jspecify.annotations.NullMarked;
