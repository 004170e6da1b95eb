package io.valetkey.broker.upstream;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What a source gave. It does not print the values.
 *
 * @param fields the values
 * @param until when they end by themselves; null if they are stored ones, which do not
 */
record Loaded(CredentialFields fields, @Nullable Instant until) {}
