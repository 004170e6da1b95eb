package io.valetkey.broker.sink;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.exporter.otlp.http.logs.OtlpHttpLogRecordExporter;
import io.opentelemetry.exporter.otlp.http.logs.OtlpHttpLogRecordExporterBuilder;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.logs.SdkLoggerProvider;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import io.opentelemetry.sdk.logs.export.LogRecordExporter;
import io.opentelemetry.sdk.resources.Resource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** OTLP logs over HTTP, by the exporter of the OpenTelemetry SDK; the body of each is the event. */
public final class OtlpSink implements Sink {

  private static final Duration TIMEOUT = Duration.ofSeconds(10);
  private static final AttributeKey<String> ID = AttributeKey.stringKey("log.record.uid");
  private static final AttributeKey<String> SERVICE = AttributeKey.stringKey("service.name");
  private static final int INFORMATIONAL = 6;

  private final LogRecordExporter exporter;
  private final List<LogRecordData> collected = new ArrayList<>();
  private final Logger logger;

  /**
   * @param endpoint the whole address, usually ending in {@code /v1/logs}
   * @param trusted PEM of the only authorities to trust; null for those of the JVM
   * @param bearerFile holds the token for {@code Authorization}, if there is one
   */
  public OtlpSink(String endpoint, byte @Nullable [] trusted, @Nullable Path bearerFile) {
    OtlpHttpLogRecordExporterBuilder builder =
        OtlpHttpLogRecordExporter.builder().setEndpoint(endpoint).setTimeout(TIMEOUT);
    if (trusted != null) {
      builder.setTrustedCertificates(trusted);
    }
    if (bearerFile != null) {
      builder.setHeaders(() -> Map.of("Authorization", read(bearerFile)));
    }
    this.exporter = builder.build();
    this.logger =
        SdkLoggerProvider.builder()
            .setResource(Resource.builder().put(SERVICE, "valetkey").build())
            .addLogRecordProcessor((context, record) -> collected.add(record.toLogRecordData()))
            .build()
            .get("valetkey.audit");
  }

  private static String read(Path file) {
    try {
      return BearerFile.authorization(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String name() {
    return "otlp";
  }

  @Override
  public void deliver(String batch, List<Event> events) throws IOException {
    collected.clear();
    for (Event event : events) {
      logger
          .logRecordBuilder()
          .setTimestamp(Instant.parse(event.time()))
          .setSeverity(event.severity() == INFORMATIONAL ? Severity.INFO : Severity.WARN)
          .setEventName("valetkey.audit")
          .setAttribute(ID, event.id())
          .setBody(event.json())
          .emit();
    }
    CompletableResultCode result = exporter.export(List.copyOf(collected));
    if (!result.join(2 * TIMEOUT.toSeconds(), TimeUnit.SECONDS).isSuccess()) {
      throw new IOException("the receiver of OTLP logs did not take them");
    }
  }
}
