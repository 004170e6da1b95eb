package io.valetkey.broker;

import io.valetkey.broker.gateway.InterceptionAuthority;
import io.valetkey.broker.gateway.InterceptionCertificates;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.ssl.NoSuchSslBundleException;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.SslBundles;

/**
 * Finds the authority of the forward proxy, or makes one, and writes down what programs must trust.
 * One that cannot be used stops the start; a renewed one that cannot be used leaves the old one in
 * use.
 */
final class InterceptionKeys {

  private static final Logger log = LoggerFactory.getLogger(InterceptionKeys.class);
  private static final String SETTING = "valetkey.gateway.forward.ca-bundle";

  private InterceptionKeys() {}

  /**
   * Certificates by the authority that the settings name; by none yet if Vault is to certify it.
   *
   * @throws InvalidSettingsException if there is no usable one
   */
  static InterceptionCertificates of(
      InterceptionSettings settings, SslBundles bundles, Clock clock) {
    if (settings.vaultPki() != null) {
      return new InterceptionCertificates();
    }
    String name = settings.bundle();
    InterceptionAuthority authority =
        name == null
            ? InterceptionAuthority.generate(settings.domains(), clock)
            : named(name, bundles, clock);
    var certificates = new InterceptionCertificates(authority);
    write(settings.file(), authority);
    log.info("The forward proxy's authority ends at {}", authority.end());
    if (name != null) {
      bundles.addBundleUpdateHandler(name, bundle -> renew(settings, bundle, certificates, clock));
    }
    return certificates;
  }

  private static InterceptionAuthority named(String name, SslBundles bundles, Clock clock) {
    try {
      return read(bundles.getBundle(name), clock);
    } catch (NoSuchSslBundleException e) {
      throw refused("there is no spring.ssl.bundle.pem." + name + " or .jks." + name);
    } catch (GeneralSecurityException | RuntimeException e) {
      throw refused("the bundle " + name + " cannot be used: " + e.getMessage());
    }
  }

  private static void renew(
      InterceptionSettings settings,
      SslBundle bundle,
      InterceptionCertificates certificates,
      Clock clock) {
    try {
      InterceptionAuthority renewed = read(bundle, clock);
      certificates.renew(renewed);
      write(settings.file(), renewed);
      log.info("The forward proxy has a renewed authority, which ends at {}", renewed.end());
    } catch (GeneralSecurityException | RuntimeException e) {
      log.error("{}: the renewed authority is not used: {}", SETTING, e.getMessage());
    }
  }

  private static InterceptionAuthority read(SslBundle bundle, Clock clock)
      throws GeneralSecurityException {
    KeyStore store = bundle.getStores().getKeyStore();
    if (store == null) {
      throw new GeneralSecurityException("it has no key store");
    }
    String password = bundle.getKey().getPassword();
    for (String alias : Collections.list(store.aliases())) {
      Certificate[] chain = store.getCertificateChain(alias);
      if (chain != null
          && store.getKey(alias, password == null ? null : password.toCharArray())
              instanceof PrivateKey key) {
        List<X509Certificate> certificates = new ArrayList<>();
        for (Certificate certificate : chain) {
          certificates.add((X509Certificate) certificate);
        }
        return InterceptionAuthority.of(key, certificates, clock);
      }
    }
    throw new GeneralSecurityException("it has no certificate with a private key");
  }

  /** Writes down what programs must trust. */
  static void write(@Nullable Path file, InterceptionAuthority authority) {
    if (file == null) {
      return;
    }
    try {
      Path next = file.resolveSibling(file.getFileName() + ".next");
      Files.writeString(next, authority.trustedPem());
      Files.move(next, file, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException | GeneralSecurityException e) {
      throw new InvalidSettingsException(
          List.of("valetkey.gateway.forward.ca-file: cannot be written: " + e.getMessage()));
    }
  }

  private static InvalidSettingsException refused(String sentence) {
    return new InvalidSettingsException(List.of(SETTING + ": " + sentence));
  }
}
