package io.valetkey.broker;

import io.valetkey.broker.gateway.GatewayServer;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;

/**
 * The first step of the end: readiness is off already, and for a while everything is still served,
 * so that whoever balances load has the time to see it. Meanwhile each answer closes its connection
 * (RFC 9112 section 9.6), so that no request is on its way on one that is about to be closed.
 */
final class Leaving implements SmartLifecycle, Filter {

  private static final Logger log = LoggerFactory.getLogger(Leaving.class);

  private final Duration delay;
  private final @Nullable GatewayServer gateway;
  private volatile boolean running;
  private volatile boolean leaving;

  Leaving(Duration delay, @Nullable GatewayServer gateway) {
    this.delay = delay;
    this.gateway = gateway;
  }

  @Override
  public void start() {
    running = true;
  }

  @Override
  public void stop() {
    running = false;
    leaving = true;
    if (gateway != null) {
      gateway.leave();
    }
    if (delay.isZero()) {
      return;
    }
    log.info("Not ready any more; the listeners close in {}", delay);
    try {
      Thread.sleep(delay);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public boolean isRunning() {
    return running;
  }

  /** Last to start, first to stop: before any listener closes. */
  @Override
  public int getPhase() {
    return Integer.MAX_VALUE;
  }

  @Override
  public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
      throws IOException, ServletException {
    if (leaving) {
      ((HttpServletResponse) response).setHeader("Connection", "close");
    }
    chain.doFilter(request, response);
  }
}
