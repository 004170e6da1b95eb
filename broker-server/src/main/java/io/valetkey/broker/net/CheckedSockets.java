package io.valetkey.broker.net;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.function.Predicate;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;

/**
 * TLS sockets that ask about the very address they are about to connect to. The name has been
 * resolved by then, so what was asked about and what is connected to cannot differ.
 */
public final class CheckedSockets extends SSLSocketFactory {

  private final SSLSocketFactory tls;
  private final Predicate<InetSocketAddress> mayConnect;

  private CheckedSockets(SSLSocketFactory tls, Predicate<InetSocketAddress> mayConnect) {
    this.tls = tls;
    this.mayConnect = mayConnect;
  }

  /**
   * Makes a factory.
   *
   * @param caCertificatePem the only CAs that count; the platform's if null
   * @throws IOException if the PEM holds no certificate
   */
  public static CheckedSockets trusting(
      @Nullable String caCertificatePem, Predicate<InetSocketAddress> mayConnect)
      throws IOException {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, caCertificatePem == null ? null : only(caCertificatePem), null);
      return of(context, mayConnect);
    } catch (GeneralSecurityException e) {
      throw new IOException("the CA certificate cannot be used", e);
    }
  }

  /** Makes a factory of connections that are made in this context. */
  public static CheckedSockets of(SSLContext context, Predicate<InetSocketAddress> mayConnect) {
    return new CheckedSockets(context.getSocketFactory(), mayConnect);
  }

  private static TrustManager[] only(String pem) throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    int count = 0;
    for (Certificate certificate :
        CertificateFactory.getInstance("X.509")
            .generateCertificates(
                new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII)))) {
      store.setCertificateEntry("ca-" + count++, certificate);
    }
    if (count == 0) {
      throw new IOException("no CA certificate in the PEM");
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory.getTrustManagers();
  }

  /** An unconnected plain socket: the caller connects it, then asks for TLS on top. */
  @Override
  public Socket createSocket() {
    return new CheckedSocket(mayConnect);
  }

  @Override
  public Socket createSocket(Socket socket, String host, int port, boolean autoClose)
      throws IOException {
    if (!(socket instanceof CheckedSocket)) {
      throw new IOException("the address was not checked");
    }
    SSLSocket layered = (SSLSocket) tls.createSocket(socket, host, port, autoClose);
    SSLParameters parameters = layered.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    layered.setSSLParameters(parameters);
    return layered;
  }

  @Override
  public Socket createSocket(String host, int port) throws IOException {
    throw new IOException("connects unchecked");
  }

  @Override
  public Socket createSocket(String host, int port, InetAddress local, int localPort)
      throws IOException {
    throw new IOException("connects unchecked");
  }

  @Override
  public Socket createSocket(InetAddress host, int port) throws IOException {
    throw new IOException("connects unchecked");
  }

  @Override
  public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort)
      throws IOException {
    throw new IOException("connects unchecked");
  }

  @Override
  public String[] getDefaultCipherSuites() {
    return tls.getDefaultCipherSuites();
  }

  @Override
  public String[] getSupportedCipherSuites() {
    return tls.getSupportedCipherSuites();
  }

  private static final class CheckedSocket extends Socket {

    private final Predicate<InetSocketAddress> mayConnect;

    CheckedSocket(Predicate<InetSocketAddress> mayConnect) {
      this.mayConnect = mayConnect;
    }

    @Override
    public void connect(SocketAddress endpoint, int timeout) throws IOException {
      if (!(endpoint instanceof InetSocketAddress internet)
          || internet.getAddress() == null
          || !mayConnect.test(internet)) {
        throw new IOException("the address is not allowed");
      }
      super.connect(endpoint, timeout);
    }
  }
}
