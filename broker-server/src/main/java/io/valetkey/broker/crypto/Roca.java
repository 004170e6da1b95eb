package io.valetkey.broker.crypto;

import java.math.BigInteger;
import java.util.BitSet;

/**
 * RSA keys of the library that CVE-2017-15361 ("ROCA") is about: their primes can be found from the
 * modulus. Each prime is a power of 65537 modulo many small primes, and so is the modulus; of all
 * other moduli one in about 2^27 is.
 */
final class Roca {

  private static final int GENERATOR = 65537;
  private static final int LARGEST = 167;

  private Roca() {}

  /** Whether the modulus has the fingerprint of such a key. */
  static boolean suspects(BigInteger modulus) {
    for (int prime = 3; prime <= LARGEST; prime += 2) {
      if (BigInteger.valueOf(prime).isProbablePrime(20)
          && !powers(prime).get(modulus.mod(BigInteger.valueOf(prime)).intValue())) {
        return false;
      }
    }
    return true;
  }

  /** The powers of the generator modulo a prime. */
  private static BitSet powers(int prime) {
    BitSet powers = new BitSet(prime);
    for (int power = 1; !powers.get(power); power = power * GENERATOR % prime) {
      powers.set(power);
    }
    return powers;
  }
}
