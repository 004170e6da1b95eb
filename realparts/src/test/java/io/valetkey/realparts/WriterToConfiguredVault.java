package io.valetkey.realparts;

import java.util.Map;

/** A program that asks for a Vault, writes into it, says which one it got, and closes it. */
final class WriterToConfiguredVault {

  static final String PATH = "configured";

  private WriterToConfiguredVault() {}

  /** Takes the value to write. */
  public static void main(String[] arguments) {
    try (RealVault vault = RealVault.start()) {
      vault.put("secret", PATH, Map.of("value", arguments[0]));
      System.out.println(vault.uri());
    }
  }
}
