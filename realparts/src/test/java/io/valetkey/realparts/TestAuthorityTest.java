package io.valetkey.realparts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.Test;

class TestAuthorityTest {

  private final TestAuthority authority = TestAuthority.create("upstream");

  @Test
  void server_isTrustedByWhoTrustsTheAuthority() throws Exception {
    assertThat(get(authority.server("localhost", "127.0.0.1"), authority.trust())).isEqualTo(204);
  }

  @Test
  void server_ofAnotherAuthority_isNotTrusted() {
    assertThatThrownBy(
            () -> get(authority.server("localhost"), TestAuthority.create("other").trust()))
        .isInstanceOf(IOException.class);
  }

  @Test
  void server_ofAnotherName_isNotTrusted() {
    assertThatThrownBy(() -> get(authority.server("elsewhere.test"), authority.trust()))
        .isInstanceOf(IOException.class);
  }

  @Test
  void expiredServer_isNotTrusted() {
    assertThatThrownBy(() -> get(authority.expiredServer("localhost"), authority.trust()))
        .isInstanceOf(IOException.class);
  }

  private static int get(TestCertificate certificate, SSLContext trust) throws Exception {
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(certificate.serverContext()));
    server.createContext(
        "/",
        exchange -> {
          exchange.sendResponseHeaders(204, -1);
          exchange.close();
        });
    server.start();
    try (HttpClient client = HttpClient.newBuilder().sslContext(trust).build()) {
      URI uri = URI.create("https://localhost:" + server.getAddress().getPort() + "/");
      return client
          .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.discarding())
          .statusCode();
    } finally {
      server.stop(0);
    }
  }
}
