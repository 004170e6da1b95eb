package io.valetkey.broker.policy;

/**
 * One line of the change log.
 *
 * @param id its place; a reader that has seen it never meets a smaller one that is new
 * @param kind the singular word of the kind, for example {@code agent}
 * @param name the resource's name, {@code destination/scope} for a scope
 */
public record LoggedChange(long id, String kind, String name) {}
