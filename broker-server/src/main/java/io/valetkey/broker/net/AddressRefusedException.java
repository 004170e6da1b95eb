package io.valetkey.broker.net;

import java.io.IOException;

/** A name stands for an address to which no connection is allowed. Trying again does not help. */
public final class AddressRefusedException extends IOException {

  private static final long serialVersionUID = 1L;

  AddressRefusedException(String message) {
    super(message);
  }
}
