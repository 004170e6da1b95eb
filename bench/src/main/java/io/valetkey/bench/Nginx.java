package io.valetkey.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** Debian's nginx with a configuration of ours, in the foreground, with two workers. */
@SuppressWarnings("InlineFormatString") // whole configuration files read better on their own
final class Nginx {

  private static final Duration START = Duration.ofSeconds(10);
  private static final String COMMON =
      """
      daemon off;
      worker_processes 2;
      pid %1$s/nginx-%2$s.pid;
      error_log %1$s/nginx-%2$s.error.log;
      events { worker_connections 16384; }
      http {
        access_log off;
        client_body_temp_path %1$s/tmp-%2$s;
        proxy_temp_path %1$s/tmp-%2$s;
        fastcgi_temp_path %1$s/tmp-%2$s;
        uwsgi_temp_path %1$s/tmp-%2$s;
        scgi_temp_path %1$s/tmp-%2$s;
        keepalive_requests 100000000;
        keepalive_timeout 600s;
        %3$s
      }
      """;

  /** Answers like a provider, over TLS, and only to the real credential. */
  private static final String UPSTREAM =
      """
      server {
        listen 127.0.0.1:%d ssl http2;
        server_name localhost;
        ssl_certificate %s;
        ssl_certificate_key %s;
        ssl_protocols TLSv1.3;
        default_type application/json;
        location / {
          if ($http_authorization != "Bearer %s") { return 403; }
          return 200 '%s';
        }
      }
      """;

  /** Puts a fixed credential in, and checks nothing. */
  private static final String PROXY =
      """
      upstream provider { server 127.0.0.1:%d; keepalive 256; keepalive_requests 100000000; }
      server {
        listen 127.0.0.1:%d%s;
        %s
        location / {
          proxy_buffering %s;
          proxy_read_timeout 600s;
          proxy_pass https://provider;
          proxy_http_version 1.1;
          proxy_ssl_protocols TLSv1.3;
          proxy_ssl_verify on;
          proxy_ssl_trusted_certificate %s;
          proxy_ssl_name localhost;
          proxy_ssl_server_name on;
          proxy_set_header Host localhost;
          proxy_set_header Connection "";
          proxy_set_header Authorization "Bearer %s";
        }
      }
      """;

  private static final String OWN_TLS =
      "ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3;";

  private Nginx() {}

  static ServerProcess upstream(
      Path folder, int port, Certificates certificates, String credential, String body)
      throws IOException {
    return start(
        folder,
        "upstream",
        port,
        UPSTREAM.formatted(port, certificates.certificate(), certificates.key(), credential, body));
  }

  /** Speaks HTTP/1.1 to the upstream in any case: this version knows nothing else. */
  static ServerProcess proxy(Path folder, int port, Scene.Setting setting) throws IOException {
    Certificates certificates = setting.certificates();
    boolean encrypted = setting.leg().isEncrypted();
    String listen = (encrypted ? " ssl" : "") + (setting.leg() == CallerLeg.HTTP2 ? " http2" : "");
    String own = encrypted ? OWN_TLS.formatted(certificates.certificate(), certificates.key()) : "";
    return start(
        folder,
        "proxy",
        port,
        PROXY.formatted(
            setting.upstreamPort(),
            port,
            listen,
            own,
            setting.streams() ? "off" : "on",
            certificates.authority(),
            setting.credential()));
  }

  private static ServerProcess start(Path folder, String name, int port, String server)
      throws IOException {
    Path file = folder.resolve("nginx-" + name + ".conf");
    Files.writeString(file, COMMON.formatted(folder, name, server));
    Path errors = folder.resolve("nginx-" + name + ".error.log");
    return ServerProcess.start(
        "nginx-" + name,
        folder,
        port,
        START,
        List.of(
            Programs.find("nginx").orElseThrow().toString(),
            "-e",
            errors.toString(),
            "-p",
            folder.toString(),
            "-c",
            file.toString()));
  }
}
