package io.valetkey.broker.stop;

import java.util.UUID;

/**
 * A place in the history of stops. A database that holds the same mark for the same epoch went on
 * from there; one that does not was replaced by another, for example by a backup.
 *
 * @param epoch the number of the stop, lift or expiry that made it
 * @param mark what the database drew for it at random
 */
public record HistoryPoint(long epoch, UUID mark) {}
