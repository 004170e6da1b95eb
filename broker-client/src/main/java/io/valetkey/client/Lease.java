package io.valetkey.client;

import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A credential of this workload's own for one destination: a login that did not exist before, and
 * ends at a known time. {@link #close()} gives it back sooner; a program that dies without it
 * leaves nothing behind but a login that ends by itself.
 *
 * <pre>{@code
 * try (Lease lease = valetkey.lease("orders-db");
 *     Connection orders = DriverManager.getConnection(lease.jdbcUrl(), lease.properties())) {
 *   …
 * }
 * }</pre>
 *
 * <p>Safe for any number of threads. The accessors go on answering after the end; the destination
 * does not.
 */
public final class Lease extends Perishable implements AutoCloseable {
  private final LeaseCalls calls;
  private final String id;
  private final String destination;
  private final String scope;
  private final Map<String, String> credential;
  private final long firstLifeMillis;
  private final AtomicBoolean released = new AtomicBoolean();
  private volatile Life life;

  /** From when to when, in milliseconds of the client's clock, and whether more can be had. */
  record Life(long obtainedAtMillis, long expiresAtMillis, boolean renewable) {}

  Lease(
      LeaseCalls calls,
      String id,
      String destination,
      String scope,
      Map<String, String> credential,
      Life life) {
    this.calls = calls;
    this.id = id;
    this.destination = destination;
    this.scope = scope;
    this.credential = credential;
    this.life = life;
    this.firstLifeMillis = life.expiresAtMillis() - life.obtainedAtMillis();
  }

  /** The broker's name for it; not a secret. */
  public String id() {
    return id;
  }

  /** The destination that it is for. */
  public String destination() {
    return destination;
  }

  /** The scope under which it was granted. */
  public String scope() {
    return scope;
  }

  /** When it ends unless it is renewed. Counted from the moment at which it was asked for. */
  public Instant expiresAt() {
    return Instant.ofEpochMilli(life.expiresAtMillis());
  }

  /** How much of its life is left; zero if it has ended. */
  public Duration remaining() {
    return Duration.ofMillis(Math.max(0, life.expiresAtMillis() - calls.now()));
  }

  /** Whether {@link #renew()} may make it live longer. */
  public boolean renewable() {
    return life.renewable() && !released.get();
  }

  /** The user name of a database or message broker. */
  public String username() {
    return get("username");
  }

  /** The password that goes with it: the secret itself. Do not log it. */
  public String password() {
    return get("password");
  }

  /** Where the credential is good, as the platform team wrote it. */
  public String url() {
    return get("url");
  }

  /**
   * The address in JDBC's spelling, without the login.
   *
   * @throws IllegalStateException if it is not one of a database
   */
  public String jdbcUrl() {
    String scheme = URI.create(url()).getScheme();
    if (!"postgresql".equals(scheme) && !"mysql".equals(scheme)) {
      throw new IllegalStateException("Destination " + destination + " is not an SQL database");
    }
    return "jdbc:" + url();
  }

  /**
   * User and password under the names that JDBC drivers take. A new object at each call, to add
   * other properties to. It prints the password: do not log it.
   */
  public Properties properties() {
    Properties properties = new Properties();
    properties.setProperty("user", username());
    properties.setProperty("password", password());
    return properties;
  }

  /**
   * A member of the credential: {@code username}, {@code password}, {@code token}, {@code
   * access_key_id}, {@code certificate}, … A list of certificates is one text.
   *
   * @throws NoSuchElementException if this kind of credential has none; says what there is
   */
  public String get(String member) {
    return find(member)
        .orElseThrow(() ->
            new NoSuchElementException(
                "The credential of destination "
                    + destination
                    + " has no "
                    + member
                    + "; it has "
                    + members()));
  }

  /** As {@link #get}, for what only some have, such as {@code session_token}. */
  public Optional<String> find(String member) {
    return Optional.ofNullable(credential.get(member));
  }

  /** The names of what the credential has. */
  public Set<String> members() {
    return credential.keySet();
  }

  /**
   * Asks for a longer life for the same login.
   *
   * @return whether it lives longer now; if not, it ends at {@link #expiresAt()} and a new one has
   *     to be leased
   * @throws RefusedException if this workload may not have it any more
   * @throws UnavailableException if nobody answered: try again later
   */
  public boolean renew() {
    long before = life.expiresAtMillis();
    try {
      renewed(LeaseCalls.await(calls.renew(id)));
    } catch (RefusedException e) {
      if (e.error().orElse("").equals("conflict")) {
        return false;
      }
      throw e;
    }
    return life.expiresAtMillis() > before;
  }

  void renewed(Life longer) {
    life = longer;
  }

  /** Whether no more than half of the life it was born with is left: time for another one. */
  boolean isNearItsEnd(long nowMillis) {
    return life.expiresAtMillis() - nowMillis <= firstLifeMillis / 2;
  }

  /**
   * Gives it back: the login is taken away and its open sessions are ended. If the broker cannot be
   * reached just now, or refuses because it takes everything back already, the login ends by itself
   * at {@link #expiresAt()}; that is no reason to fail what the caller does. Once is enough.
   */
  @Override
  public void close() {
    if (released.compareAndSet(false, true)) {
      try {
        LeaseCalls.await(calls.release(id));
      } catch (RefusedException | UnavailableException e) {
        // It ends at expiresAt.
      }
    }
  }

  boolean isReleased() {
    return released.get();
  }

  @Override
  long obtainedAtMillis() {
    return life.obtainedAtMillis();
  }

  @Override
  long expiresAtMillis() {
    return life.expiresAtMillis();
  }

  /** Says everything but the credential. */
  @Override
  public String toString() {
    return "Lease[id="
        + id
        + ", destination="
        + destination
        + ", scope="
        + scope
        + ", expiresAt="
        + expiresAt()
        + ", credential=redacted]";
  }
}
