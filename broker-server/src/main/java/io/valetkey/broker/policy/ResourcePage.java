package io.valetkey.broker.policy;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A part of a list, in the order of names.
 *
 * @param items the resources
 * @param next the cursor of the following page, null if there is none
 */
public record ResourcePage(List<StoredResource> items, @Nullable String next) {}
