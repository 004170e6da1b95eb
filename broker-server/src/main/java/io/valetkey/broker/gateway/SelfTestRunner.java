package io.valetkey.broker.gateway;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.upstream.SelfTestStep;
import io.valetkey.broker.upstream.SelfTests;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
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
  private final AuditLog auditLog;
  private final ConcurrentMap<UpstreamProbe, String> running = new ConcurrentHashMap<>();

  /** Makes a runner for the gateway of this process. */
  public SelfTestRunner(
      SelfTests tests,
      PolicyView policy,
      StopView stops,
      GatewayServer gateway,
      AuditLog auditLog) {
    this.tests = tests;
    this.policy = policy;
    this.stops = stops;
    this.gateway = gateway;
    this.auditLog = auditLog;
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    if (gateway.isRunning()) {
      SelfTests.take(connection)
          .ifPresent(order ->
              Thread.ofVirtual().name("self-test-" + order.destination()).start(() -> run(order)));
    }
  }

  /** Ends tests of what is stopped now; call it when a stop comes into force. */
  public void stopsChanged() {
    running.forEach((probe, destination) -> {
      if (isStopped(destination)) {
        probe.cancel();
      }
    });
  }

  /** The destination, or everything: a test is nobody's. */
  private boolean isStopped(String destination) {
    return stops.isKnownToBeStopped("", "", "", Long.MAX_VALUE, destination);
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
      if (!destination.enabled()) {
        return List.of(SelfTestStep.failed("policy", "The destination is disabled"));
      }
      UpstreamProbe probe = gateway.probe(destination);
      running.put(probe, destination.name());
      try {
        return recordAndRun(probe, order);
      } finally {
        running.remove(probe);
      }
    } catch (RefusedException e) {
      return List.of(SelfTestStep.failed("gateway", e.detail()));
    } catch (RuntimeException e) {
      log.error("A self-test failed", e);
      return List.of(SelfTestStep.failed("gateway", "It failed unexpectedly: see its log"));
    }
  }

  /**
   * A record of this gateway's own, because anybody with the application's login could have written
   * the order. It is written under the stop epoch, so a stop is either seen here or comes after it.
   */
  private List<SelfTestStep> recordAndRun(UpstreamProbe probe, SelfTests.Order order) {
    long epoch = stops.epoch();
    OpenRecord record = auditLog.open("admin.test");
    record
        .destination(order.destination())
        .detail("at", "gateway")
        .detail("test", order.id().toString());
    record.detail("method", order.method());
    if (order.path() != null) {
      record.detail("path", order.path());
    }
    boolean stopped = isStopped(order.destination());
    OpenRecord.Receipt receipt =
        auditLog.await(
            stopped
                ? record.refused(ProblemCode.STOPPED, "A stop is in force")
                : record.granted(epoch));
    if (stopped || receipt != OpenRecord.Receipt.DURABLE) {
      return List.of(SelfTestStep.failed("stop", "A stop is in force: nothing is sent"));
    }
    return probe.run(order.method(), order.path());
  }
}
