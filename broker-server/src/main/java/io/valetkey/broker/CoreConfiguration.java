package io.valetkey.broker;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.approval.ApprovalWaits;
import io.valetkey.broker.approval.Approvals;
import io.valetkey.broker.approval.PendingApprovals;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.condition.WhenCondition;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.gateway.ExchangeReport;
import io.valetkey.broker.gateway.GatewayServer;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.limit.GrantBudgets;
import io.valetkey.broker.limit.GrantRates;
import io.valetkey.broker.limit.LimitRounds;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.stop.CutCounts;
import io.valetkey.broker.stop.GatewayCensus;
import io.valetkey.broker.stop.GatewayReplica;
import io.valetkey.broker.stop.StopAcknowledgement;
import io.valetkey.broker.stop.StopRestore;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.stop.WitnessKeeper;
import io.valetkey.broker.token.AccessTokens;
import io.valetkey.broker.token.DpopProofs;
import io.valetkey.broker.token.KeyRotation;
import io.valetkey.broker.token.SigningKeys;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Clock;
import java.util.Properties;
import java.util.Set;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.boot.jdbc.autoconfigure.JdbcConnectionDetails;
import org.springframework.boot.sql.init.dependency.DependsOnDatabaseInitialization;
import org.springframework.context.ApplicationListener;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** What both roles need: the database, the views, the decision, the audit trail. */
@Configuration(proxyBeanMethods = false)
class CoreConfiguration {

  private static final Logger log = LoggerFactory.getLogger(CoreConfiguration.class);

  /** A question about an approval is answered within this time or refused. */
  private static final int APPROVAL_SECONDS = 2;

  /** Before every listener starts, after every listener has stopped. */
  private static final int BEFORE_LISTENERS = 0;

  @Bean
  Clock clock() {
    return Clock.systemUTC();
  }

  /**
   * What the first condition of a policy needs is loaded before there is one: by then it would keep
   * the feed waiting, and a stop with it.
   */
  @Bean
  ApplicationListener<ApplicationReadyEvent> conditionsLoad() {
    return ready -> Thread.ofPlatform().daemon().name("conditions").start(WhenCondition::prepare);
  }

  @Bean
  @DependsOnDatabaseInitialization
  Connections connections(JdbcConnectionDetails details) {
    return () -> open(details);
  }

  private static Connection open(JdbcConnectionDetails details) throws SQLException {
    Properties properties = new Properties();
    String user = details.getUsername();
    String password = details.getPassword();
    if (user != null) {
      properties.setProperty("user", user);
    }
    if (password != null) {
      properties.setProperty("password", password);
    }
    properties.setProperty("connectTimeout", "2");
    properties.setProperty("socketTimeout", "4");
    properties.setProperty("cancelSignalTimeout", "1");
    properties.setProperty("tcpKeepAlive", "true");
    properties.setProperty("ApplicationName", "valetkey");
    Connection connection = DriverManager.getConnection(details.getJdbcUrl(), properties);
    try (var statement = connection.createStatement()) {
      statement.execute(
          // "off" would acknowledge records and stops that a crash of the database forgets.
          "SET ROLE valetkey_app; SELECT set_config('synchronous_commit', 'on', false)"
              + " WHERE current_setting('synchronous_commit') = 'off'");
      return connection;
    } catch (SQLException e) {
      connection.close();
      throw e;
    }
  }

  @Bean
  CryptoProvider cryptoProvider(BrokerSettings settings) {
    CryptoProvider provider = CryptoProvider.select(settings.crypto());
    if (provider.accelerated()) {
      log.info("Cryptography by {}", provider.name());
    } else {
      log.warn("Cryptography by {}, several times slower: {}", provider.name(), provider.reason());
    }
    return provider;
  }

  @Bean
  IdentityVerifier identityVerifier(
      PolicyView policy, CryptoProvider crypto, BrokerSettings settings, Clock clock) {
    AddressRules rules = AddressRules.forIssuers(Set.of());
    return new IdentityVerifier(
        new CurrentIssuers(policy),
        settings.names().issuer(),
        crypto,
        address -> rules.allows(address, 0),
        true,
        clock);
  }

  @Bean
  AuditLog auditLog(Connections connections, Clock clock, BrokerSettings settings) {
    return new AuditLog(connections, clock, settings.auditDeadline());
  }

  @Bean
  StopStore stopStore(Connections connections) {
    return new StopStore(connections);
  }

  @Bean
  StopRestore stopRestore(Connections connections, Clock clock) {
    return new StopRestore(connections, clock);
  }

  @Bean
  StopView stopView(StopStore store, StopRestore restore, BrokerSettings settings) {
    return new StopView(store, restore, settings.stopStaleness());
  }

  @Bean
  CutCounts cutCounts() {
    return new CutCounts();
  }

  @Bean
  GatewayCensus gatewayCensus(Connections connections) {
    return new GatewayCensus(connections);
  }

  @Bean
  PolicyView policyView(BrokerSettings settings) {
    return new PolicyView(settings.policyStaleness());
  }

  @Bean
  SigningKeys signingKeys(CryptoProvider crypto, BrokerSettings settings) {
    return new SigningKeys(
        crypto,
        settings.algorithm(),
        settings.has(BrokerSettings.ISSUER),
        settings.stopStaleness());
  }

  @Bean
  KeyRotation keyRotation(Connections connections) {
    return new KeyRotation(connections);
  }

  @Bean
  AccessTokens accessTokens(BrokerSettings settings, SigningKeys keys, Clock clock) {
    return new AccessTokens(settings.names(), keys, clock);
  }

  @Bean
  UsedOnce usedOnce(JdbcClient database, Clock clock) {
    return new UsedOnce(database, clock);
  }

  @Bean
  DpopProofs dpopProofs(CryptoProvider crypto, UsedOnce usedOnce, Clock clock) {
    return new DpopProofs(crypto, usedOnce, clock);
  }

  @Bean
  Approvals approvals(DataSource dataSource, PlatformTransactionManager transactions, Clock clock) {
    var bounded = new TransactionTemplate(transactions);
    bounded.setTimeout(APPROVAL_SECONDS);
    return new Approvals(dataSource, bounded, clock);
  }

  @Bean
  Housekeeping housekeeping(UsedOnce usedOnce, Approvals approvals, Connections connections) {
    return new Housekeeping(usedOnce, approvals.store(), connections);
  }

  @Bean
  RateLimits rateLimits(BrokerSettings settings) {
    return new RateLimits(settings.tokensPerMinute(), System::nanoTime);
  }

  @Bean
  GrantRates grantRates() {
    return new GrantRates(System::nanoTime);
  }

  @Bean
  GrantBudgets grantBudgets() {
    return new GrantBudgets(System::nanoTime);
  }

  /** Closed after every listener, so that what was not used goes back. */
  @Bean
  LimitRounds limitRounds(Connections connections, GrantRates rates, GrantBudgets budgets) {
    return new LimitRounds(connections, rates, budgets);
  }

  @Bean
  Access access(
      PolicyView policy,
      StopView stops,
      RateLimits limits,
      GrantRates rates,
      GrantBudgets budgets,
      Clock clock) {
    return new Access(policy, stops, limits, rates, budgets, clock);
  }

  @Bean
  ChangeFeed changeFeed(
      Connections connections,
      StopView stops,
      GatewayCensus census,
      PolicyView policy,
      SigningKeys keys,
      ObjectProvider<GatewayReplica> gateway,
      ObjectProvider<StopAcknowledgement> acknowledgement,
      ObjectProvider<ExchangeReport> exchanges,
      ObjectProvider<ApprovalWaits> approvals,
      ObjectProvider<PendingApprovals> pending,
      BrokerSettings settings) {
    var feed = new ChangeFeed(connections, settings.poll());
    // Stops first: nothing else may delay them.
    GatewayReplica replica = gateway.getIfAvailable();
    if (replica != null) {
      feed.subscribe(replica.signOfLife());
      feed.subscribe(stops);
      feed.subscribe(replica);
      exchanges.ifAvailable(report -> feed.subscribe(report.of(replica.id())));
    } else {
      feed.subscribe(stops);
    }
    if (settings.has(BrokerSettings.ISSUER)) {
      feed.subscribe(census);
      acknowledgement.ifAvailable(feed::subscribe);
    }
    feed.subscribe(policy);
    feed.subscribe(keys);
    approvals.ifAvailable(feed::subscribe);
    pending.ifAvailable(feed::subscribe);
    return feed;
  }

  @Bean
  Leaving leaving(BrokerSettings settings, ObjectProvider<GatewayServer> gateway) {
    return new Leaving(settings.leave(), gateway.getIfAvailable());
  }

  /** Starts the feed when everything that subscribed exists, and before anything listens. */
  @Bean
  SmartLifecycle changeFeedLifecycle(ChangeFeed feed, ObjectProvider<WitnessKeeper> witness) {
    return new SmartLifecycle() {
      private volatile boolean running;

      @Override
      public void start() {
        // Before the views, which would believe a restored backup.
        witness.ifAvailable(WitnessKeeper::askBeforeServing);
        try {
          feed.start();
          running = true;
        } catch (SQLException e) {
          throw new IllegalStateException("the policy and the stops cannot be read", e);
        }
      }

      @Override
      public void stop() {
        feed.close();
        running = false;
      }

      @Override
      public boolean isRunning() {
        return running;
      }

      @Override
      public int getPhase() {
        return BEFORE_LISTENERS;
      }
    };
  }
}
