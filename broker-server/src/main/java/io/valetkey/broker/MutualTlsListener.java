package io.valetkey.broker;

import io.valetkey.broker.issuance.OAuthPaths;
import io.valetkey.broker.net.AnyClientCertificate;
import jakarta.servlet.ServletException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.http11.AbstractHttp11Protocol;
import org.apache.tomcat.util.net.SSLHostConfig;
import org.apache.tomcat.util.net.SSLHostConfigCertificate;
import org.apache.tomcat.util.threads.VirtualThreadExecutor;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.boot.ssl.SslStoreBundle;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;

/**
 * A further port of the issuer that asks for a client certificate, and has the OAuth endpoints and
 * nothing else. A port of its own, because a browser that is asked for a certificate asks its user.
 */
final class MutualTlsListener implements WebServerFactoryCustomizer<TomcatServletWebServerFactory> {

  /** For a handshake, a header section, and the next request of a connection. */
  private static final int TIMEOUT_MILLIS = 10_000;

  private static final int HEADER_BYTES = 32 * 1024;

  private final BrokerSettings.Mtls settings;
  private final SslBundles bundles;
  private final ServerCertificate certificate;
  private final Connector connector = new Connector();

  /**
   * Makes a listener that does not listen yet.
   *
   * @throws InvalidSettingsException if its certificate cannot be used
   */
  MutualTlsListener(BrokerSettings.Mtls settings, SslBundles bundles) {
    this.settings = settings;
    this.bundles = bundles;
    this.certificate =
        new ServerCertificate("valetkey.mtls.ssl-bundle", settings.sslBundle(), bundles);
  }

  @Override
  public void customize(TomcatServletWebServerFactory factory) {
    connector.setPort(settings.port());
    connector.setScheme("https");
    connector.setSecure(true);
    connector.setXpoweredBy(false);
    connector.setEncodedSolidusHandling("reject");
    AbstractHttp11Protocol<?> protocol = (AbstractHttp11Protocol<?>) connector.getProtocolHandler();
    protocol.setSSLEnabled(true);
    protocol.setConnectionTimeout(TIMEOUT_MILLIS);
    protocol.setMaxHttpRequestHeaderSize(HEADER_BYTES);
    protocol.setExecutor(new VirtualThreadExecutor("mtls-"));
    if (settings.address() != null) {
      protocol.setAddress(address(settings.address()));
    }
    protocol.addSslHostConfig(tls(bundles.getBundle(settings.sslBundle())));
    certificate.onRenewal(
        renewed -> protocol.addSslHostConfig(tls(bundles.getBundle(settings.sslBundle())), true));
    factory.addAdditionalConnectors(connector);
    factory.addEngineValves(new OAuthOnly());
  }

  private static InetAddress address(String address) {
    try {
      return InetAddress.getByName(address);
    } catch (UnknownHostException e) {
      throw new InvalidSettingsException(List.of("valetkey.mtls.address: is not an address"));
    }
  }

  private static SSLHostConfig tls(SslBundle bundle) {
    SSLHostConfig config = new SSLHostConfig();
    config.setProtocols("TLSv1.2+TLSv1.3");
    config.setCertificateVerification("optional");
    config.setTrustManagerClassName(AnyClientCertificate.class.getName());
    SslStoreBundle stores = bundle.getStores();
    String password = stores.getKeyStorePassword();
    var own = new SSLHostConfigCertificate(config, SSLHostConfigCertificate.Type.UNDEFINED);
    own.setCertificateKeystore(stores.getKeyStore());
    own.setCertificateKeystorePassword(password == null ? "" : password);
    if (bundle.getKey().getPassword() != null) {
      own.setCertificateKeyPassword(bundle.getKey().getPassword());
    }
    config.addCertificate(own);
    return config;
  }

  /** Neither the admin API nor the console is at this port. */
  private final class OAuthOnly extends ValveBase {

    OAuthOnly() {
      super(true);
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
      if (connector.equals(request.getConnector()) && !OAuthPaths.isOne(request.getRequestURI())) {
        response.sendError(404);
      } else {
        getNext().invoke(request, response);
      }
    }
  }
}
