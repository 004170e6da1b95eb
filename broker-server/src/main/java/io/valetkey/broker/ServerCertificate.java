package io.valetkey.broker;

import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.util.Collections;
import java.util.List;
import java.util.function.Consumer;
import javax.net.ssl.KeyManagerFactory;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.ssl.NoSuchSslBundleException;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.SslBundles;

/**
 * The own certificate of a listener: one of Spring's SSL bundles, which also watches its files. A
 * pair that cannot be used stops the start; a renewed one that cannot be used leaves the old one in
 * use.
 */
final class ServerCertificate {

  private static final Logger log = LoggerFactory.getLogger(ServerCertificate.class);

  private final String setting;
  private final @Nullable String name;
  private final SslBundles bundles;
  private volatile @Nullable Pair pair;

  /** What the listener shows, and when it ends, in seconds since 1970. */
  private record Pair(KeyManagerFactory keys, long notAfter) {}

  /**
   * Reads the certificate.
   *
   * @param setting which setting names the bundle
   * @param name the bundle's name; null if the listener speaks plain HTTP
   * @throws InvalidSettingsException if there is no such bundle, or it holds no usable pair
   */
  ServerCertificate(String setting, @Nullable String name, SslBundles bundles) {
    this.setting = setting;
    this.name = name;
    this.bundles = bundles;
    if (name == null) {
      return;
    }
    try {
      this.pair = pair(bundles.getBundle(name));
    } catch (NoSuchSslBundleException e) {
      throw refused("there is no spring.ssl.bundle.pem." + name + " or .jks." + name);
    } catch (GeneralSecurityException | RuntimeException e) {
      throw refused("the bundle " + name + " cannot be used: " + e.getMessage());
    }
  }

  private InvalidSettingsException refused(String sentence) {
    return new InvalidSettingsException(List.of(setting + ": " + sentence));
  }

  /** The certificate and its key; null if the listener speaks plain HTTP. */
  @Nullable KeyManagerFactory current() {
    Pair current = pair;
    return current == null ? null : current.keys();
  }

  /** Calls whenever the files have changed and hold a usable pair again. */
  void onRenewal(Consumer<KeyManagerFactory> renewal) {
    if (name != null) {
      bundles.addBundleUpdateHandler(name, renewed -> renew(renewed, renewal));
    }
  }

  private void renew(SslBundle renewed, Consumer<KeyManagerFactory> renewal) {
    try {
      Pair next = pair(renewed);
      pair = next;
      renewal.accept(next.keys());
      log.info("{}: the renewed certificate is used", setting);
    } catch (GeneralSecurityException | RuntimeException e) {
      log.error("{}: the renewed certificate is not used: {}", setting, e.getMessage());
    }
  }

  private static Pair pair(SslBundle bundle) throws GeneralSecurityException {
    KeyStore store = bundle.getStores().getKeyStore();
    if (store == null) {
      throw new GeneralSecurityException("it has no key store");
    }
    String password = bundle.getKey().getPassword();
    for (String alias : Collections.list(store.aliases())) {
      if (store.getKey(alias, password == null ? null : password.toCharArray())
              instanceof PrivateKey key
          && store.getCertificate(alias) instanceof X509Certificate certificate) {
        requireMatch(key, certificate);
        return new Pair(
            bundle.getManagers().getKeyManagerFactory(),
            certificate.getNotAfter().toInstant().getEpochSecond());
      }
    }
    throw new GeneralSecurityException("it has no certificate with a private key");
  }

  /** What the one signs must be what the other verifies. */
  private static void requireMatch(PrivateKey key, X509Certificate certificate)
      throws GeneralSecurityException {
    String algorithm =
        switch (key.getAlgorithm()) {
          case "RSA" -> "SHA256withRSA";
          case "EC" -> "SHA256withECDSA";
          default -> key.getAlgorithm();
        };
    byte[] something = certificate.getSerialNumber().toByteArray();
    Signature signature = Signature.getInstance(algorithm);
    signature.initSign(key);
    signature.update(something);
    byte[] signed = signature.sign();
    signature.initVerify(certificate.getPublicKey());
    signature.update(something);
    if (!signature.verify(signed)) {
      throw new GeneralSecurityException("the private key is not that of the certificate");
    }
  }

  /** When it ends, in seconds since 1970; 0 if there is none. */
  double notAfter() {
    Pair current = pair;
    return current == null ? 0 : current.notAfter();
  }
}
