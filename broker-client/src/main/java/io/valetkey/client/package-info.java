/**
 * Gets a workload short-lived access tokens and leased credentials for single destinations, and
 * sends its requests to the gateway with the tokens. Agent programs call it; it depends on the JDK
 * only. It must never print, persist or send a token anywhere but the broker and (access tokens)
 * the gateway, nor a leased credential anywhere, and never hand out what it knows to have ended.
 */
@NullMarked
package io.valetkey.client;

import org.jspecify.annotations.NullMarked;
