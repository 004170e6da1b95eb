package io.valetkey.broker.console;

import io.valetkey.broker.approval.Approvals;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.control.BootstrapToken;
import io.valetkey.broker.control.DestinationTests;
import io.valetkey.broker.control.Explanation;
import io.valetkey.broker.control.StopOrders;
import io.valetkey.broker.control.TrailVerification;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.identity.RelyingParty;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.lease.Leases;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.policy.PolicyStore;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.signal.Timeline;
import io.valetkey.broker.stop.GatewayCensus;
import io.valetkey.broker.stop.StopStore;
import java.time.Clock;
import java.util.Set;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.header.HeaderWriterFilter;

/** Wires the console. */
@Configuration(proxyBeanMethods = false)
public class ConsoleConfiguration {

  @Bean
  Assets consoleAssets() {
    return new Assets();
  }

  @Bean
  Pages pages(Assets assets) {
    return new Pages(assets);
  }

  @Bean
  Cookies consoleCookies(ConsoleSettings settings) {
    return new Cookies(settings.isSecure());
  }

  @Bean
  Sessions consoleSessions(
      JdbcClient database, BootstrapToken bootstrap, ConsoleSettings settings, Clock clock) {
    return new Sessions(database, bootstrap, settings, clock);
  }

  @Bean
  ConsoleErrors consoleErrors(Pages pages) {
    return new ConsoleErrors(pages);
  }

  @Bean
  SignInPage signInPage(Pages pages, BootstrapToken bootstrap, ConsoleSettings settings) {
    return new SignInPage(pages, bootstrap, settings);
  }

  @Bean
  SignInController signInController(
      Sessions sessions,
      Cookies cookies,
      BootstrapToken bootstrap,
      AuditLog auditLog,
      SignInPage page) {
    return new SignInController(sessions, cookies, bootstrap, auditLog, page);
  }

  @Bean
  ProviderSignInController providerSignInController(
      ConsoleSettings settings,
      CryptoProvider crypto,
      Sessions sessions,
      Cookies cookies,
      UsedOnce usedOnce,
      AuditLog auditLog,
      SignInPage page,
      Clock clock) {
    ProviderSignInController.Provider provider =
        settings.provider() == null ? null : provider(settings.provider(), crypto, clock);
    return new ProviderSignInController(
        provider, sessions, cookies, usedOnce, auditLog, page, clock);
  }

  private static ProviderSignInController.Provider provider(
      ConsoleSettings.Provider settings, CryptoProvider crypto, Clock clock) {
    AddressRules rules = AddressRules.forIssuers(Set.of());
    var party =
        new RelyingParty(settings.client(), crypto, address -> rules.allows(address, 0), clock);
    return new ProviderSignInController.Provider(
        settings.name(), settings.client().issuer(), party, settings.roles());
  }

  @Bean
  LiveController liveController(AuditTrailQuery trail, Pages pages, Clock clock) {
    return new LiveController(trail, pages, clock);
  }

  @Bean
  DecisionController decisionController(
      AuditTrailQuery trail, Explanation explanation, Pages pages) {
    return new DecisionController(trail, explanation, pages);
  }

  @Bean
  Traffic traffic(JdbcClient database) {
    return new Traffic(database);
  }

  @Bean
  StopList stopList(StopStore stops, GatewayCensus gateways, Leases leases) {
    return new StopList(stops, gateways, leases.book());
  }

  @Bean
  AgentsController agentsController(
      Traffic traffic,
      PolicyView policy,
      Leases leases,
      Timeline timeline,
      AuditTrailQuery trail,
      StopList stops,
      Pages pages,
      Clock clock) {
    return new AgentsController(
        traffic, policy, leases.book(), timeline, trail, stops, pages, clock);
  }

  @Bean
  StopsController stopsController(StopOrders orders, StopList stops, Pages pages) {
    return new StopsController(orders, stops, pages);
  }

  @Bean
  ApprovalsController approvalsController(Approvals approvals, Pages pages, Clock clock) {
    return new ApprovalsController(
        new ApprovalList(approvals.book()), approvals.decisions(), pages, clock);
  }

  @Bean
  DestinationsController destinationsController(PolicyView policy, PolicyStore store, Pages pages) {
    return new DestinationsController(policy, store, pages);
  }

  @Bean
  ScopeController scopeController(PolicyStore store, Pages pages) {
    return new ScopeController(store, pages);
  }

  @Bean
  ReachPage reachPage(Traffic traffic, PolicyView policy, Pages pages, Clock clock) {
    return new ReachPage(traffic, policy, pages, clock);
  }

  @Bean
  AuditPage auditPage(AuditTrailQuery trail, Pages pages, Clock clock) {
    return new AuditPage(trail, pages, clock);
  }

  @Bean
  SelfTestPage selfTestPage(DestinationTests tests, Pages pages) {
    return new SelfTestPage(tests, pages);
  }

  @Bean
  VerificationPage verificationPage(
      TrailVerification verification, AuditTrailQuery trail, Pages pages, Clock clock) {
    return new VerificationPage(verification, trail, pages, clock);
  }

  @Bean
  @Order(Ordered.LOWEST_PRECEDENCE - 2)
  SecurityFilterChain console(
      HttpSecurity http,
      Sessions sessions,
      Cookies cookies,
      Pages pages,
      AuditLog auditLog,
      ConsoleSettings settings) {
    var filter = new ConsoleFilter(sessions, cookies, pages, auditLog, settings.publicUrl());
    return http.securityMatcher(ConsoleRoutes.BASE, ConsoleRoutes.BASE + "/**")
        .addFilterBefore(filter, HeaderWriterFilter.class)
        // The filter writes the headers, checks each form and decides.
        .headers(AbstractHttpConfigurer::disable)
        .csrf(AbstractHttpConfigurer::disable)
        .logout(AbstractHttpConfigurer::disable)
        .requestCache(AbstractHttpConfigurer::disable)
        .anonymous(AbstractHttpConfigurer::disable)
        .sessionManagement(all -> all.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
        .authorizeHttpRequests(requests -> requests.anyRequest().permitAll())
        .build();
  }
}
