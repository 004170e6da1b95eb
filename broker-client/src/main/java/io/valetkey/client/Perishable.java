package io.valetkey.client;

/** What the broker gave for a time; milliseconds of the client's clock. */
abstract class Perishable {
  /** When it was asked for: its life counts from here. */
  abstract long obtainedAtMillis();

  abstract long expiresAtMillis();
}
