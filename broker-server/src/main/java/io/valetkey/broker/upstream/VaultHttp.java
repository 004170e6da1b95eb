package io.valetkey.broker.upstream;

import java.io.IOException;
import java.net.http.HttpClient;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import org.jspecify.annotations.Nullable;
import org.springframework.core.io.FileSystemResource;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.vault.VaultException;
import org.springframework.vault.client.ClientHttpRequestFactoryFactory.JdkHttpClient;
import org.springframework.vault.client.RestTemplateBuilder;
import org.springframework.vault.client.VaultClients;
import org.springframework.vault.client.VaultEndpoint;
import org.springframework.vault.support.ClientOptions;
import org.springframework.vault.support.SslConfiguration;
import org.springframework.vault.support.SslConfiguration.KeyStoreConfiguration;

/**
 * The HTTP client for Vault: the JDK's, whose blocking calls end when their thread is interrupted.
 */
final class VaultHttp implements AutoCloseable {

  private final HttpClient client;
  private final VaultSettings settings;

  /**
   * Reads the certificates and makes the client.
   *
   * @throws IllegalArgumentException if a certificate or key store cannot be read
   */
  VaultHttp(VaultSettings settings) {
    this.settings = settings;
    ClientOptions options = new ClientOptions(settings.timeout(), settings.timeout());
    try {
      this.client =
          JdkHttpClient.getBuilder(options, tls(settings))
              .followRedirects(HttpClient.Redirect.NEVER)
              .build();
    } catch (GeneralSecurityException | IOException | VaultException e) {
      throw new IllegalArgumentException("the certificates for Vault cannot be read", e);
    }
  }

  /**
   * A builder of clients that speak to Vault, without any token. Not the newer RestClient: with it
   * Spring Vault 4.0.3 posts logins without their body (ClientAdapter.RestClientAdapter drops
   * whatever is not an HttpEntity).
   */
  RestTemplateBuilder clients() {
    JdkClientHttpRequestFactory factory = new JdkClientHttpRequestFactory(client);
    factory.setReadTimeout(settings.timeout());
    RestTemplateBuilder builder =
        RestTemplateBuilder.builder()
            .endpoint(VaultEndpoint.from(settings.uri()))
            .requestFactory(factory);
    String namespace = settings.namespace();
    return namespace == null
        ? builder
        : builder.customizers(
            rest -> rest.getInterceptors().add(VaultClients.createNamespaceInterceptor(namespace)));
  }

  @Override
  public void close() {
    client.shutdownNow();
  }

  private static SslConfiguration tls(VaultSettings settings) {
    SslConfiguration tls = SslConfiguration.unconfigured();
    Path authority = settings.caCertificate();
    if (authority != null) {
      tls = tls.withTrustStore(store(authority, null, SslConfiguration.PEM_KEYSTORE_TYPE));
    }
    if (settings.login() instanceof VaultLogin.Certificate certificate) {
      Path keyStore = certificate.keyStore();
      boolean pem = keyStore.toString().endsWith(".pem");
      tls =
          tls.withKeyStore(
              store(
                  keyStore,
                  certificate.passwordFile(),
                  pem ? SslConfiguration.PEM_KEYSTORE_TYPE : "PKCS12"));
    }
    return tls;
  }

  private static KeyStoreConfiguration store(Path file, @Nullable Path passwordFile, String type) {
    char[] password =
        passwordFile == null ? new char[0] : VaultLogins.text(passwordFile).toCharArray();
    return new KeyStoreConfiguration(new FileSystemResource(file), password, type);
  }
}
