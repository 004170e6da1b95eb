package io.valetkey.broker.admin;

import io.swagger.v3.oas.models.OpenAPI;
import io.valetkey.broker.approval.Approvals;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.control.AdminSettings;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.control.BootstrapToken;
import io.valetkey.broker.control.DestinationTests;
import io.valetkey.broker.control.Explanation;
import io.valetkey.broker.control.OidcAdmins;
import io.valetkey.broker.control.StopOrders;
import io.valetkey.broker.control.TrailVerification;
import io.valetkey.broker.declaration.PolicyFiles;
import io.valetkey.broker.declaration.Replay;
import io.valetkey.broker.declaration.SetReader;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.lease.Leases;
import io.valetkey.broker.limit.LimitUse;
import io.valetkey.broker.policy.PolicyApply;
import io.valetkey.broker.policy.PolicyExport;
import io.valetkey.broker.policy.PolicyStore;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.signal.ReceiveSecurityEvent;
import io.valetkey.broker.signal.ReceiveSignal;
import io.valetkey.broker.signal.Timeline;
import io.valetkey.broker.stop.GatewayCensus;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.token.KeyRotation;
import io.valetkey.broker.token.TokenSettings;
import java.time.Clock;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.access.intercept.AuthorizationFilter;
import org.springframework.security.web.firewall.RequestRejectedHandler;

/** Wires the admin API. Its filter chain is the last one and denies what no other chain names. */
@Configuration(proxyBeanMethods = false)
public class AdminConfiguration {

  @Bean
  Problems problems(AdminSettings settings) {
    return new Problems(settings.publicUrl());
  }

  @Bean
  AdminErrors adminErrors(Problems problems, Clock clock) {
    return new AdminErrors(problems, clock);
  }

  @Bean
  ResourceController resourceController(PolicyStore store) {
    return new ResourceController(store);
  }

  @Bean
  GrantUsageController grantUsageController(PolicyStore store, Connections connections) {
    return new GrantUsageController(store, new LimitUse(connections));
  }

  @Bean
  ApplyController applyController(SetReader reader, PolicyApply apply, Replay replay) {
    return new ApplyController(reader, apply, replay);
  }

  @Bean
  KeyRotationController keyRotationController(KeyRotation rotation, Clock clock) {
    return new KeyRotationController(rotation, clock);
  }

  @Bean
  DeclarationController declarationController(
      PolicyExport export, ObjectProvider<PolicyFiles> files) {
    return new DeclarationController(export, files.getIfAvailable());
  }

  @Bean
  DestinationTemplateController destinationTemplateController(TokenSettings names) {
    return new DestinationTemplateController(names);
  }

  @Bean
  StopController stopController(
      StopOrders orders, StopStore stops, GatewayCensus gateways, Leases leases) {
    return new StopController(orders, stops, gateways, leases.book());
  }

  @Bean
  SelfTestController selfTestController(DestinationTests tests) {
    return new SelfTestController(tests);
  }

  @Bean
  LeaseController leaseController(Leases leases) {
    return new LeaseController(leases.book());
  }

  @Bean
  ApprovalController approvalController(Approvals approvals) {
    return new ApprovalController(approvals.book(), approvals.decisions());
  }

  @Bean
  AuditController auditController(AuditTrailQuery trail) {
    return new AuditController(trail);
  }

  @Bean
  VerificationController verificationController(TrailVerification verification) {
    return new VerificationController(verification);
  }

  @Bean
  ReachController reachController(PolicyView policy, Explanation explanation) {
    return new ReachController(policy, explanation);
  }

  @Bean
  SignalController signalController(
      ReceiveSignal signals,
      ReceiveSecurityEvent securityEvents,
      PolicyView policy,
      AuditLog auditLog) {
    return new SignalController(signals, securityEvents, policy, auditLog);
  }

  @Bean
  ActivityController activityController(Timeline timeline) {
    return new ActivityController(timeline);
  }

  @Bean
  ProblemCatalogue problemCatalogue() {
    return new ProblemCatalogue();
  }

  @Bean
  OpenAPI openApi() {
    return ApiDescription.openApi();
  }

  @Bean
  @Order(Ordered.LOWEST_PRECEDENCE)
  SecurityFilterChain adminApi(
      HttpSecurity http,
      BootstrapToken bootstrap,
      AdminSettings settings,
      Sensors sensors,
      Problems problems,
      AuditLog auditLog) {
    var provider = settings.oidc();
    OidcAdmins oidc =
        provider == null || provider.audience() == null ? null : new OidcAdmins(provider);
    return stateless(http)
        .addFilterBefore(
            new AdminFilter(bootstrap, oidc, sensors, problems, auditLog),
            AuthorizationFilter.class)
        // The filter has decided; what it let through may pass, also to the error page.
        .authorizeHttpRequests(requests -> requests.anyRequest().permitAll())
        .build();
  }

  /** What the firewall does not even look at is malformed. */
  @Bean
  RequestRejectedHandler requestRejectedHandler(Problems problems) {
    return (request, response, e) -> problems.writeStatus(response, 400);
  }

  /** Last, so that it stands closer to the application than the container's own. */
  @Bean
  @Order(Ordered.LOWEST_PRECEDENCE)
  WebServerFactoryCustomizer<TomcatServletWebServerFactory> containerErrors(Problems problems) {
    return factory ->
        factory.addContextCustomizers(
            context -> context.getParent().getPipeline().addValve(new ContainerErrors(problems)));
  }

  private static HttpSecurity stateless(HttpSecurity http) {
    // Nothing here is ever authenticated by a cookie, so there is nothing to forge.
    return http.csrf(AbstractHttpConfigurer::disable)
        .logout(AbstractHttpConfigurer::disable)
        .requestCache(AbstractHttpConfigurer::disable)
        .anonymous(AbstractHttpConfigurer::disable)
        .sessionManagement(
            sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS));
  }
}
