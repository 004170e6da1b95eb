package io.valetkey.broker;

import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.admin.Sensors;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.SecurityEventVerifier;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.signal.PodsSeen;
import io.valetkey.broker.signal.ReceiveSecurityEvent;
import io.valetkey.broker.signal.ReceiveSignal;
import io.valetkey.broker.signal.Timeline;
import io.valetkey.broker.stop.CausedStops;
import io.valetkey.broker.stop.StopStore;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.sql.DataSource;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** What takes signals in, and who may send them. */
@Configuration(proxyBeanMethods = false)
@Conditional(OnRole.Issuer.class)
class SignalConfiguration {

  private static final String SENDERS = "signals.senders";
  private static final String TRANSMITTERS = "signals.transmitters";
  private static final String PER_MINUTE = "signals.per-minute";
  private static final int WRITE_SECONDS = 2;

  /**
   * Who may send signals, and how many.
   *
   * @param senders the subjects that are sensors, by the name of their issuer
   * @param transmitters the issuers that sign security events, with those whose subjects they name
   * @param perMinute signals of one sender that one replica takes in per minute
   */
  record SignalSettings(
      Map<String, Set<String>> senders, Map<String, List<String>> transmitters, int perMinute) {}

  /** Checks the settings together with all others. */
  static void check(SettingsReader reader) {
    var _ = read(reader);
  }

  private static SignalSettings read(SettingsReader reader) {
    return new SignalSettings(
        senders(reader), transmitters(reader), reader.number(PER_MINUTE, 6000, 1, 1_000_000));
  }

  /** {@code issuer=subject, …}; an issuer may be there several times. */
  private static Map<String, Set<String>> senders(SettingsReader reader) {
    Map<String, Set<String>> senders = new LinkedHashMap<>();
    for (String entry : reader.list(SENDERS)) {
      String[] parts = entry.split("=", 2);
      if (parts.length != 2 || parts[0].isBlank() || parts[1].isBlank()) {
        reader.problem(SENDERS, "must be issuer=subject, …");
      } else {
        senders
            .computeIfAbsent(parts[0].strip(), issuer -> new LinkedHashSet<>())
            .add(parts[1].strip());
      }
    }
    return senders;
  }

  /** {@code transmitter=issuer+issuer, …}. */
  private static Map<String, List<String>> transmitters(SettingsReader reader) {
    Map<String, List<String>> transmitters = new LinkedHashMap<>();
    for (String entry : reader.list(TRANSMITTERS)) {
      String[] parts = entry.split("=", -1);
      if (parts.length != 2 || parts[0].isBlank() || parts[1].isBlank()) {
        reader.problem(TRANSMITTERS, "must be transmitter=issuer+issuer, …");
      } else {
        transmitters.put(parts[0].strip(), List.of(parts[1].strip().split("\\+")));
      }
    }
    return transmitters;
  }

  @Bean
  SignalSettings signalSettings(ConfigurableEnvironment environment) {
    return read(new SettingsReader(environment));
  }

  @Bean
  PodsSeen podsSeen(JdbcClient database) {
    return new PodsSeen(database);
  }

  @Bean
  Sensors sensors(IdentityVerifier identities, PolicyView policy, SignalSettings settings) {
    return new Sensors(identities, policy, settings.senders());
  }

  @Bean
  Timeline timeline(DataSource dataSource, PlatformTransactionManager transactions) {
    var bounded = new TransactionTemplate(transactions);
    bounded.setTimeout(WRITE_SECONDS);
    return new Timeline(dataSource, bounded);
  }

  @Bean
  ReceiveSignal receiveSignal(
      PolicyView policy,
      PodsSeen pods,
      RateLimits limits,
      StopStore stops,
      Timeline timeline,
      SignalSettings settings,
      AuditLog auditLog,
      Clock clock) {
    return new ReceiveSignal(
        policy,
        pods,
        limits,
        settings.perMinute(),
        new CausedStops(stops),
        timeline,
        auditLog,
        clock);
  }

  @Bean
  ReceiveSecurityEvent receiveSecurityEvent(
      PolicyView policy,
      CryptoProvider crypto,
      BrokerSettings settings,
      SignalSettings signals,
      UsedOnce usedOnce,
      ReceiveSignal receiveSignal,
      AuditLog auditLog,
      Clock clock) {
    AddressRules rules = AddressRules.forIssuers(Set.of());
    var verifier =
        new SecurityEventVerifier(
            new CurrentIssuers(policy),
            settings.names().issuer(),
            crypto,
            address -> rules.allows(address, 0),
            true,
            clock);
    return new ReceiveSecurityEvent(
        verifier, usedOnce, receiveSignal, auditLog, signals.transmitters());
  }
}
