package io.valetkey.broker.crypto;

import com.amazon.corretto.crypto.provider.AmazonCorrettoCryptoProvider;
import com.amazon.corretto.crypto.provider.SelfTestStatus;
import java.security.Provider;
import org.jspecify.annotations.Nullable;

/**
 * The only class that names ACCP. The jar is optional, and a class that names a missing one cannot
 * even be verified: kept apart, that is an error which the caller can catch.
 */
final class Accp {

  private Accp() {}

  /** The provider, or null if its native part did not load or does not pass its own tests. */
  static @Nullable Provider provider() {
    AmazonCorrettoCryptoProvider accp = AmazonCorrettoCryptoProvider.INSTANCE;
    boolean works = accp.getLoadingError() == null && accp.runSelfTests() == SelfTestStatus.PASSED;
    return works ? accp : null;
  }
}
