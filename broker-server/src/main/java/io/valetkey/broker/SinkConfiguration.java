package io.valetkey.broker;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.sink.FileSink;
import io.valetkey.broker.sink.OcsfSink;
import io.valetkey.broker.sink.OtlpSink;
import io.valetkey.broker.sink.Sink;
import io.valetkey.broker.sink.SinkFeeder;
import io.valetkey.broker.sink.StdoutSink;
import io.valetkey.broker.sink.SyslogSink;
import io.valetkey.broker.sink.WebhookSink;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/** Who outside is told what the audit trail says. */
@Configuration(proxyBeanMethods = false)
class SinkConfiguration {

  private static final String SINKS = "audit.sinks.";
  private static final List<String> KINDS = List.of("stdout", "file", "webhook", "syslog", "otlp");

  /** Checks the settings of this part together with all others. */
  static void check(SettingsReader reader) {
    var _ = sinks(reader);
  }

  /** The names of the sinks that are set. */
  static List<String> names(SettingsReader reader) {
    return sinks(reader).stream().map(Sink::name).toList();
  }

  /** The feeders of all sinks, so that they end with the context. */
  record Feeders(List<SinkFeeder> all) implements AutoCloseable {
    @Override
    public void close() {
      all.forEach(SinkFeeder::close);
    }
  }

  @Bean
  Feeders auditSinks(Connections connections, ConfigurableEnvironment environment) {
    return new Feeders(
        sinks(new SettingsReader(environment)).stream()
            .map(sink -> new SinkFeeder(connections, sink))
            .toList());
  }

  @Bean
  MeterBinder sinkMeters(Feeders feeders) {
    return registry -> {
      for (SinkFeeder feeder : feeders.all()) {
        Gauge.builder("valetkey.audit.sink.lag.records", feeder, SinkFeeder::lagRecords)
            .description("Audit records that wait for the sink, at the replica that feeds it")
            .tag("sink", feeder.sink())
            .register(registry);
        Gauge.builder("valetkey.audit.sink.lag", feeder, SinkFeeder::lagSeconds)
            .description("Age of the oldest audit record that waits for the sink")
            .baseUnit("seconds")
            .tag("sink", feeder.sink())
            .register(registry);
      }
    };
  }

  private static List<Sink> sinks(SettingsReader reader) {
    List<Sink> sinks = new ArrayList<>();
    String stdout = reader.text(SINKS + "stdout", "false");
    if (stdout.equals("true")) {
      sinks.add(new StdoutSink(System.out));
    } else if (!stdout.equals("false")) {
      reader.problem(SINKS + "stdout", "must be true or false");
    }
    String file = reader.text(SINKS + "file");
    if (file != null) {
      Path parent = Path.of(file).toAbsolutePath().getParent();
      if (parent == null || !Files.isDirectory(parent)) {
        reader.problem(SINKS + "file", "must be a file in a directory that exists");
      }
      sinks.add(new FileSink(Path.of(file)));
    }
    addWebhook(reader, sinks);
    addSyslog(reader, sinks);
    addOtlp(reader, sinks);
    List<String> ocsf = KINDS.stream().filter(kind -> isOcsf(reader, kind)).toList();
    return sinks.stream()
        .map(sink -> ocsf.contains(sink.name()) ? new OcsfSink(sink) : sink)
        .toList();
  }

  private static boolean isOcsf(SettingsReader reader, String kind) {
    String name = SINKS + kind + ".format";
    String format = reader.text(name, "valetkey");
    if (!format.equals("valetkey") && !format.equals("ocsf")) {
      reader.problem(name, "must be valetkey or ocsf");
    }
    return format.equals("ocsf");
  }

  private static void addWebhook(SettingsReader reader, List<Sink> sinks) {
    boolean wanted = reader.text(SINKS + "webhook.url") != null;
    SSLContext tls = tls(reader, SINKS + "webhook.trusted-certificates");
    Path bearer = reader.file(SINKS + "webhook.bearer-file");
    Path hmac = reader.file(SINKS + "webhook.hmac-file");
    if (wanted) {
      int before = reader.problems().size();
      String url = reader.externalUrl(SINKS + "webhook.url");
      if (reader.problems().size() == before) {
        sinks.add(new WebhookSink(URI.create(url), tls, bearer, hmac));
      }
    }
  }

  private static void addSyslog(SettingsReader reader, List<Sink> sinks) {
    String address = reader.text(SINKS + "syslog.address");
    String secured = reader.text(SINKS + "syslog.tls", "true");
    SSLContext tls = tls(reader, SINKS + "syslog.trusted-certificates");
    if (!secured.equals("true") && !secured.equals("false")) {
      reader.problem(SINKS + "syslog.tls", "must be true or false");
    }
    if (address == null) {
      return;
    }
    if (!address.matches("[A-Za-z0-9.-]{1,253}:[1-9][0-9]{0,4}")) {
      reader.problem(SINKS + "syslog.address", "must be host:port");
      return;
    }
    int colon = address.indexOf(':');
    int port = Integer.parseInt(address.substring(colon + 1));
    if (port > 65535) {
      reader.problem(SINKS + "syslog.address", "must be host:port");
      return;
    }
    sinks.add(
        new SyslogSink(
            address.substring(0, colon),
            port,
            secured.equals("true") ? tls.getSocketFactory() : null));
  }

  private static void addOtlp(SettingsReader reader, List<Sink> sinks) {
    boolean wanted = reader.text(SINKS + "otlp.url") != null;
    Path trusted = reader.file(SINKS + "otlp.trusted-certificates");
    Path bearer = reader.file(SINKS + "otlp.bearer-file");
    int before = reader.problems().size();
    String url = wanted ? reader.externalUrl(SINKS + "otlp.url") : "";
    if (!wanted || reader.problems().size() > before) {
      return;
    }
    try {
      byte[] pem = trusted == null ? null : Files.readAllBytes(trusted);
      sinks.add(new OtlpSink(url, pem, bearer));
    } catch (IOException | IllegalArgumentException | IllegalStateException e) {
      reader.problem(SINKS + "otlp.trusted-certificates", "does not hold PEM certificates");
    }
  }

  private static SSLContext tls(SettingsReader reader, String name) {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      Path file = reader.file(name);
      if (file != null && Files.isReadable(file)) {
        context.init(null, UpstreamTrust.of(file).getTrustManagers(), null);
      } else {
        context.init(null, null, null);
      }
      return context;
    } catch (InvalidSettingsException e) {
      reader.problem(name, "does not hold PEM certificates");
      return defaultTls();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JVM has TLS", e);
    }
  }

  private static SSLContext defaultTls() {
    try {
      return SSLContext.getDefault();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JVM has TLS", e);
    }
  }
}
