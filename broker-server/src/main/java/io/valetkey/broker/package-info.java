/** Starts the broker, wires its parts and holds its configuration records. */
@NullMarked
package io.valetkey.broker;

import org.jspecify.annotations.NullMarked;
