/**
 * Answers with which login a pool's next connection is opened, and until when that connection may
 * be kept. HikariCP calls it, at each new connection; the application attaches it to its pool once.
 * It must never let a pooled connection outlive the login it was opened with.
 */
@NullMarked
package io.valetkey.client.hikari;

import org.jspecify.annotations.NullMarked;
