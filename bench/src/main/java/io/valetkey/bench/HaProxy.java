package io.valetkey.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** Debian's HAProxy with a configuration of ours, in the foreground, with two threads. */
@SuppressWarnings("InlineFormatString") // whole configuration files read better on their own
final class HaProxy {

  private static final Duration START = Duration.ofSeconds(10);

  /** Checks algorithm, signature, audience and end of the token, and puts a fixed credential in. */
  private static final String CONFIGURATION =
      """
      global
        nbthread 2
        maxconn 9000
        ssl-default-bind-options ssl-min-ver TLSv1.3
        ssl-default-server-options ssl-min-ver TLSv1.3
      defaults
        mode http
        timeout connect 5s
        timeout client 600s
        timeout server 600s
        timeout http-keep-alive 600s
        timeout http-request 10s
      frontend agents
        bind 127.0.0.1:%1$d%2$s
        http-request set-var(txn.bearer) http_auth_bearer
        http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
        http-request deny deny_status 401 unless { var(txn.alg) -m str ES256 }
        http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"%3$s") -m int 1 }
        http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
        http-request deny deny_status 401 unless { var(txn.aud) -m str "%4$s" }
        http-request set-var(txn.now) date()
        http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
        http-request deny deny_status 401 unless { var(txn.exp),sub(txn.now) -m int gt 0 }
        http-request set-header Authorization "Bearer %5$s"
        http-request set-header Host localhost
        default_backend provider
      backend provider
        http-reuse always
        server upstream 127.0.0.1:%6$d ssl verify required ca-file %7$s sni str(localhost) verifyhost localhost alpn %8$s
      """;

  private HaProxy() {}

  /**
   * Starts it.
   *
   * @param key the public key of the tokens, as PEM
   * @param audience the only one that a token may have
   */
  static ServerProcess proxy(
      Path folder, int port, Scene.Setting setting, Path key, String audience) throws IOException {
    Certificates certificates = setting.certificates();
    String listen =
        setting.leg().isEncrypted()
            ? " ssl crt %s alpn %s"
                .formatted(
                    certificates.pair(), setting.leg() == CallerLeg.HTTP2 ? "h2" : "http/1.1")
            : "";
    Path file = folder.resolve("haproxy.cfg");
    Files.writeString(
        file,
        CONFIGURATION.formatted(
            port,
            listen,
            key,
            audience,
            setting.credential(),
            setting.upstreamPort(),
            certificates.authority(),
            setting.http2Upstream() ? "h2" : "http/1.1"));
    String program = Programs.find("haproxy").orElseThrow().toString();
    return ServerProcess.start(
        "haproxy", folder, port, START, List.of(program, "-db", "-f", file.toString()));
  }
}
