package io.valetkey.client.hikari;

import com.zaxxer.hikari.HikariCredentialsProvider;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.util.Credentials;
import io.valetkey.client.CurrentLease;
import io.valetkey.client.Destination;
import io.valetkey.client.Lease;
import io.valetkey.client.RefusedException;
import io.valetkey.client.UnavailableException;
import java.time.Duration;

/**
 * Gives each new connection of a HikariCP pool (7 or newer) the login of the lease that is current
 * then, and the lifetime that fits that login.
 *
 * <pre>{@code
 * HikariDataSource orders = new HikariDataSource();
 * LeasedLogins logins = LeasedLogins.attach(orders, valetkey.destination("orders-db"));
 * …
 * orders.close();
 * logins.close();
 * }</pre>
 *
 * <p><b>The arithmetic.</b> A connection opened at a time t with a login that ends at e is retired
 * at the latest at {@code r = e − min(u, (e − t) / 2)}, where u is the longest use: how long the
 * application keeps a connection at a time, 30 seconds unless {@link #longestUse(Duration)} says
 * otherwise. HikariCP closes an idle connection at r and one that is in use when it is given back;
 * what was taken before r has u to finish before its login ends at e, where the database would cut
 * it off. HikariCP draws up to a quarter off the lifetimes above ten seconds, so that connections
 * do not all end at once; that is to the safe side. While the broker answers, a {@link
 * CurrentLease} hands out logins with at least 7 % of their first life left, so a lease that lives
 * 30 times the longest use (15 minutes) always leaves it. In shorter ones the half in the formula
 * may take over, and then a use must not take longer than half of what is left of the login.
 *
 * <p>The lifetime is set through {@link HikariDataSource#setMaxLifetime}, which HikariCP reads
 * right after it has opened a connection, and so overrides what was configured. (Its check at the
 * start turns a configured lifetime below 30 seconds into half an hour; the ones set here come
 * later and are not touched by that.) HikariCP opens one connection at a time; with its system
 * property {@code com.zaxxer.hikari.blockUntilFilled} it opens several, but only at the start, when
 * they all have the same login.
 *
 * <p>Before each new connection the broker is asked (at most once a second) whether the login was
 * taken back: after a stop {@link HikariDataSource#getConnection()} fails with the broker's refusal
 * as the cause instead of a wrong password, and after the stop was lifted it works again without a
 * restart.
 */
public final class LeasedLogins implements HikariCredentialsProvider, AutoCloseable {
  private static final Duration LONGEST_USE = Duration.ofSeconds(30);

  private final HikariDataSource pool;
  private final CurrentLease current;
  private volatile Duration longestUse = LONGEST_USE;

  LeasedLogins(HikariDataSource pool, CurrentLease current) {
    this.pool = pool;
    this.current = current;
  }

  /**
   * Makes a pool use leased logins. If it has no address yet, the first lease gives it one.
   *
   * @param pool one that has not been started: made by the constructor without arguments, and
   *     nothing taken from it yet
   * @param destination a database; with {@link Destination#withScopes} if it has several scopes
   * @throws IllegalStateException if the pool was started already, or the destination is no
   *     database
   * @throws RefusedException if an address is needed and the broker refuses a lease
   * @throws UnavailableException if an address is needed and nobody answers
   */
  public static LeasedLogins attach(HikariDataSource pool, Destination destination) {
    CurrentLease current = destination.currentLease();
    LeasedLogins logins = new LeasedLogins(pool, current);
    try {
      pool.setCredentialsProvider(logins);
      if (pool.getJdbcUrl() == null && pool.getDataSourceClassName() == null) {
        pool.setJdbcUrl(current.get().jdbcUrl());
      }
      return logins;
    } catch (RuntimeException e) {
      logins.close();
      throw e;
    }
  }

  /**
   * How long the application keeps a connection at a time; 30 seconds by default. For the
   * connections that are opened from now on.
   *
   * @throws IllegalArgumentException if it is negative
   */
  public LeasedLogins longestUse(Duration use) {
    if (use.isNegative()) {
      throw new IllegalArgumentException("The longest use cannot be negative: " + use);
    }
    this.longestUse = use;
    return this;
  }

  /**
   * The login for the connection that is about to be opened; sets the lifetime of that connection.
   *
   * @throws RefusedException if the broker refuses: stop
   * @throws UnavailableException if there is neither a login nor an answer: try again later
   */
  @Override
  public Credentials getCredentials() {
    Lease lease = current.confirmed();
    pool.setMaxLifetime(lifetime(lease.remaining(), longestUse).toMillis());
    return Credentials.of(lease.username(), lease.password());
  }

  /** Never zero: to HikariCP that would mean for ever. */
  static Duration lifetime(Duration left, Duration longestUse) {
    Duration half = left.dividedBy(2);
    Duration lifetime = left.minus(half.compareTo(longestUse) < 0 ? half : longestUse);
    return lifetime.toMillis() < 1 ? Duration.ofMillis(1) : lifetime;
  }

  /** Gives the logins back, which ends their connections: close the pool first. */
  @Override
  public void close() {
    current.close();
  }

  /** Says everything but the login. */
  @Override
  public String toString() {
    return "LeasedLogins[" + current + "]";
  }
}
