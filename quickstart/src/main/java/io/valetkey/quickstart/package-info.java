/**
 * The broker with everything it needs on one machine, for trying it out: who runs it, sees within a
 * minute that an agent without a key reaches what it may reach and nothing else. Started by hand or
 * by {@code mvn spring-boot:run}. Must never be part of a production deployment.
 */
@NullMarked
package io.valetkey.quickstart;

import org.jspecify.annotations.NullMarked;
