/**
 * A broker and a gateway in the test's own process, speaking the real wire contract over loopback
 * sockets. Tests of agent programs call it; it must never be part of a running system, for it
 * believes every identity.
 */
@NullMarked
package io.valetkey.client.testing;

import org.jspecify.annotations.NullMarked;
