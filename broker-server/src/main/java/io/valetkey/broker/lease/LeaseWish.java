package io.valetkey.broker.lease;

import io.valetkey.broker.access.Holder;
import io.valetkey.broker.policy.LeaseEngine;
import org.jspecify.annotations.Nullable;

/**
 * What somebody wants to lease.
 *
 * @param holder who
 * @param destination the destination's name
 * @param scope the scope; null for the only one that there is
 * @param key a hash of what makes two requests the same one
 * @param only the one engine whose credentials fit the way of asking; null for any
 */
public record LeaseWish(
    Holder holder,
    String destination,
    @Nullable String scope,
    String key,
    @Nullable LeaseEngine only) {}
