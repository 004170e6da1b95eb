package io.valetkey.broker.gateway;

import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.upstream.SelfTestStep;
import io.valetkey.broker.upstream.SelfTests;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the tests of destinations that issuers ask for. Subscribe it after the policy, so that it
 * tests what had been stored when the test was asked for; the test itself has a thread of its own.
 */
public final class SelfTestRunner implements ChangeFeed.Subscriber {

  private static final Logger log = LoggerFactory.getLogger(SelfTestRunner.class);

  private final SelfTests tests;
  private final PolicyView policy;
  private final StopView stops;
  private final GatewayServer gateway;

  /** Makes a runner for the gateway of this process. */
  public SelfTestRunner(SelfTests tests, PolicyView policy, StopView stops, GatewayServer gateway) {
    this.tests = tests;
    this.policy = policy;
    this.stops = stops;
    this.gateway = gateway;
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    if (gateway.isRunning()) {
      SelfTests.take(connection)
          .ifPresent(order ->
              Thread.ofVirtual().name("self-test-" + order.destination()).start(() -> run(order)));
    }
  }

  private void run(SelfTests.Order order) {
    try {
      tests.finish(order.id(), steps(order));
    } catch (SQLException e) {
      log.warn("The result of a self-test could not be stored: {}", e.getMessage());
    }
  }

  private List<SelfTestStep> steps(SelfTests.Order order) {
    try {
      Destination destination = policy.current().destination(order.destination());
      if (destination == null) {
        return List.of(SelfTestStep.failed("policy", "The gateway knows no such destination"));
      }
      if (stops.stoppedDestination(order.destination(), stops.epoch()) != null) {
        return List.of(SelfTestStep.failed("stop", "A stop of it is in force: nothing is sent"));
      }
      return gateway.probe(destination, order.method(), order.path());
    } catch (RefusedException e) {
      return List.of(SelfTestStep.failed("gateway", e.detail()));
    } catch (RuntimeException e) {
      log.error("A self-test failed", e);
      return List.of(SelfTestStep.failed("gateway", "It failed unexpectedly: see its log"));
    }
  }
}
