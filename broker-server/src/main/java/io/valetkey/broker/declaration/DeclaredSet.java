package io.valetkey.broker.declaration;

import io.valetkey.broker.policy.DeclaredResource;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What somebody declares to be their part of the policy.
 *
 * @param managedBy who; null where that is said elsewhere
 * @param prune whether what they have and the set has not is deleted
 * @param generation which generation of the set it is; null if it has none
 * @param resources what is to be there
 */
public record DeclaredSet(
    @Nullable String managedBy,
    boolean prune,
    @Nullable Long generation,
    List<DeclaredResource> resources) {}
