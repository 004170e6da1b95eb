package io.valetkey.broker.policy;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A declared set that somebody wants to be the policy of its owner.
 *
 * @param owner whose set it is
 * @param resources everything that the owner wants to be there, each once
 * @param prune whether what the owner has and the set has not is deleted
 * @param generation which generation of the owner's set it is; an older one than was applied before
 *     is refused; null if it has none
 * @param adopt whether what was made by hand or belongs to another owner may become the owner's
 * @param allowEmpty whether an empty set may delete everything that the owner has
 * @param ifRevision the revision of the plan that was agreed to; null for whatever the plan is
 * @param actor who asks, for the audit record
 * @param dryRun whether only the plan is wanted
 */
public record ApplyOrder(
    String owner,
    List<DeclaredResource> resources,
    boolean prune,
    @Nullable Long generation,
    boolean adopt,
    boolean allowEmpty,
    @Nullable String ifRevision,
    String actor,
    boolean dryRun) {}
