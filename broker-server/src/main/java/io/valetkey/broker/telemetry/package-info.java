/**
 * What operators see of single requests: their steps as a trace, and a line for each refusal. The
 * endpoints and the gateway call it when a request has ended. It must never be given a token, a
 * credential, a query, a path or a body, and never makes a request wait.
 */
@NullMarked
package io.valetkey.broker.telemetry;

import org.jspecify.annotations.NullMarked;
