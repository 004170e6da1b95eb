package io.valetkey.broker;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.CertificateSource;
import io.valetkey.broker.upstream.CredentialFields;
import io.valetkey.broker.upstream.CredentialSettings;
import io.valetkey.broker.upstream.CredentialSource;
import io.valetkey.broker.upstream.Federation;
import io.valetkey.broker.upstream.FileSource;
import io.valetkey.broker.upstream.ProviderHttp;
import io.valetkey.broker.upstream.SourceAwayException;
import io.valetkey.broker.upstream.UpstreamCredentials;
import io.valetkey.broker.upstream.VaultCertificates;
import io.valetkey.broker.upstream.VaultConnection;
import io.valetkey.broker.upstream.VaultKvSource;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/**
 * Where real credentials come from. Vault is optional: without {@code valetkey.vault.uri} a
 * destination that refers to it is refused when it is used, and says why.
 */
@Configuration(proxyBeanMethods = false)
class CredentialConfiguration {

  private static final Duration SECOND = Duration.ofSeconds(1);

  @Bean
  UpstreamCredentials upstreamCredentials(
      BrokerSettings settings,
      ConfigurableEnvironment environment,
      @Qualifier("vaultConnection") ObjectProvider<VaultConnection> vault,
      ObjectProvider<Federation> federation,
      MeterRegistry registry,
      Clock clock)
      throws GeneralSecurityException {
    var reader = new SettingsReader(environment);
    Path directory = settings.fileSource();
    VaultConnection connection = vault.getIfAvailable();
    return new UpstreamCredentials(
        directory == null
            ? CredentialSource.unconfigured("valetkey.file-source.directory")
            : timed(new FileSource(directory), registry, "file"),
        connection == null
            ? CredentialSource.unconfigured("valetkey.vault.uri")
            : timed(new VaultKvSource(connection), registry, "vault-kv"),
        providers(settings.gateway(), environment),
        federation.getIfAvailable(),
        connection == null
            ? CertificateSource.unconfigured("valetkey.vault.uri")
            : timed(new VaultCertificates(connection, clock), registry),
        credentials(reader),
        clock);
  }

  /** To providers of tokens the same ways are open as to destinations. */
  private static ProviderHttp providers(
      BrokerSettings.Gateway own, ConfigurableEnvironment environment)
      throws GeneralSecurityException {
    return new ProviderHttp(
        AddressRules.forDestinations(own.privateOrigins(), OwnAddresses.of(environment)),
        UpstreamTrust.of(own.trustedCertificates()));
  }

  /** The source, with a timer around each read. */
  private static <R extends DestinationSpec.Credential> CredentialSource<R> timed(
      CredentialSource<R> source, MeterRegistry registry, String name) {
    var timers = new Timers(registry, name);
    return new CredentialSource<>() {
      @Override
      public SecretValue read(R reference) {
        return timers.time(() -> source.read(reference));
      }

      @Override
      public SecretValue readKey(R reference) {
        return timers.time(() -> source.readKey(reference));
      }

      @Override
      public CredentialFields read(R reference, List<String> required, List<String> optional) {
        return timers.time(() -> source.read(reference, required, optional));
      }
    };
  }

  private static CertificateSource timed(CertificateSource source, MeterRegistry registry) {
    var timers = new Timers(registry, "vault-pki");
    return reference -> timers.time(() -> source.issue(reference));
  }

  /** The timers of one source by what came of a read. */
  private record Timers(Timer fetched, Timer refused, Timer away) {

    Timers(MeterRegistry registry, String source) {
      this(
          timer(registry, source, "fetched"),
          timer(registry, source, "refused"),
          timer(registry, source, "away"));
    }

    <T> T time(Supplier<T> read) {
      long begun = System.nanoTime();
      Timer outcome = away;
      try {
        T value = read.get();
        outcome = fetched;
        return value;
      } catch (RefusedException e) {
        outcome = e instanceof SourceAwayException ? away : refused;
        throw e;
      } finally {
        outcome.record(System.nanoTime() - begun, TimeUnit.NANOSECONDS);
      }
    }
  }

  private static Timer timer(MeterRegistry registry, String source, String outcome) {
    return Timer.builder("valetkey.credential.fetch")
        .description("Reads of credentials at their source")
        .tag("source", source)
        .tag("outcome", outcome)
        .register(registry);
  }

  /** Reads the settings of this part, noting what is wrong with them. */
  static void check(SettingsReader reader) {
    credentials(reader);
  }

  private static CredentialSettings credentials(SettingsReader reader) {
    CredentialSettings defaults = CredentialSettings.defaults();
    Duration ttl =
        reader.duration("credential.ttl", defaults.ttl(), SECOND, CredentialSettings.MAX_AGE);
    Duration interval = defaults.refreshInterval();
    return new CredentialSettings(
        ttl,
        reader.duration(
            "credential.deadline", defaults.deadline(), SECOND, SECOND.multipliedBy(30)),
        interval.compareTo(ttl) > 0 ? ttl : interval,
        defaults.maxEntries());
  }
}
