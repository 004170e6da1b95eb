package io.valetkey.realparts;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test that needs Autobahn's WebSocket test suite. It is skipped, with the reason, where it
 * cannot be had; with {@code CI=true} that is a failure.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(PartCondition.class)
public @interface NeedsWstest {}
