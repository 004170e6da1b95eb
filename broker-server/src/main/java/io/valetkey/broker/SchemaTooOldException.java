package io.valetkey.broker;

/** The database's schema is older than this release needs, and this process may not change it. */
final class SchemaTooOldException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  SchemaTooOldException(String message) {
    super(message);
  }
}
