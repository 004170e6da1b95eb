package io.valetkey.broker;

import io.valetkey.broker.admin.AuditedChanges;
import io.valetkey.broker.declaration.Replay;
import io.valetkey.broker.declaration.SetReader;
import io.valetkey.broker.policy.ChangeLog;
import io.valetkey.broker.policy.DeclaredDocuments;
import io.valetkey.broker.policy.PolicyApply;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.ResourceJson;
import io.valetkey.broker.policy.ResourceValidator;
import java.time.Clock;
import javax.sql.DataSource;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Wires what declared sets of resources need. */
@Configuration(proxyBeanMethods = false)
class DeclarationConfiguration {

  /** A set is applied within this time or not at all; other writers wait for it. */
  private static final int APPLY_SECONDS = 20;

  @Bean
  SetReader setReader(ResourceValidator validator) {
    return new SetReader(new DeclaredDocuments(new ResourceJson(), validator));
  }

  @Bean
  PolicyApply policyApply(
      DataSource dataSource,
      PlatformTransactionManager transactions,
      ChangeLog log,
      AuditedChanges recorder) {
    var bounded = new TransactionTemplate(transactions);
    bounded.setTimeout(APPLY_SECONDS);
    return new PolicyApply(dataSource, bounded, new ResourceJson(), log, recorder);
  }

  @Bean
  Replay replay(JdbcClient database, PolicyView view, Clock clock) {
    return new Replay(database, view, clock);
  }
}
