package io.valetkey.broker.token;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.JWSVerifier;
import com.nimbusds.jose.jwk.JWK;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.feed.ChangeFeed;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.text.ParseException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The signing key of this replica, and the public keys of all replicas. The private half is
 * generated here, stays in memory and dies with the process; the public half is in the database
 * before its first use, with an end that lies after the last token it can have signed.
 */
public final class SigningKeys implements ChangeFeed.Subscriber {

  private static final Logger log = LoggerFactory.getLogger(SigningKeys.class);
  private static final Duration USE = Duration.ofHours(24);

  /** Longer than the longest access token, so that a key never ends before its last token. */
  private static final Duration VERIFY = USE.plusHours(2);

  /** Every replica polls more often than this, so each knows a new key before it signs anything. */
  private static final Duration PUBLISHED_BEFORE_USE = Duration.ofSeconds(5);

  private final CryptoProvider crypto;
  private final JWSAlgorithm algorithm;
  private final boolean signs;
  private final Duration staleness;
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
  private volatile @Nullable Active active;
  private volatile @Nullable Active next;
  private volatile Map<String, PublicKey> publicKeys = Map.of();
  private volatile long readNanos;
  private volatile boolean everRead;
  private KeyGeneration seen = KeyGeneration.NONE;

  /**
   * The key that signs now.
   *
   * @param kid its id
   * @param signer signs with it
   * @param generation the generation that it belongs to
   * @param madeNanos when it was published, by the monotonic clock
   */
  record Active(String kid, JWSSigner signer, long generation, long madeNanos) {}

  /**
   * A public key that still counts.
   *
   * @param jwk the key
   * @param algorithm the only algorithm that it is used with
   * @param verifier verifies with it
   */
  record PublicKey(JWK jwk, JWSAlgorithm algorithm, JWSVerifier verifier) {}

  /**
   * Makes keys that are read by the first call of the feed.
   *
   * @param signs whether this replica issues tokens; a gateway only verifies
   * @param staleness how long public keys count after they were read: longer, and one might be
   *     revoked
   */
  public SigningKeys(
      CryptoProvider crypto, JWSAlgorithm algorithm, boolean signs, Duration staleness) {
    this.crypto = crypto;
    this.algorithm = algorithm;
    this.signs = signs;
    this.staleness = staleness;
  }

  /** The key that signs now. */
  Active active() {
    Active key = active;
    if (key == null) {
      throw new IllegalStateException("this replica does not sign, or has not started");
    }
    return key;
  }

  /** The algorithm that this replica signs with. */
  public JWSAlgorithm algorithm() {
    return algorithm;
  }

  /** Whether the public keys were read recently enough for a revocation to be known. */
  boolean isFresh() {
    return everRead && System.nanoTime() - readNanos <= staleness.toNanos();
  }

  /** Whether a token that was signed with this key may still be used. */
  public boolean counts(String kid) {
    return publicKeys.containsKey(kid);
  }

  /** Calls this on the feed's thread after keys were revoked. */
  public void onRevocation(Runnable listener) {
    listeners.add(listener);
  }

  /** The public key with this id, or null. Never waits: who calls may be an event loop. */
  @Nullable PublicKey publicKey(String kid) {
    return publicKeys.get(kid);
  }

  /** All public keys that still count, for {@code /oauth2/jwks}. */
  public List<JWK> published() {
    return publicKeys.values().stream().map(PublicKey::jwk).toList();
  }

  /** How old the key is that signs now, in seconds; NaN if this replica does not sign. */
  public double ageSeconds() {
    Active key = active;
    return key == null ? Double.NaN : age(key).toMillis() / 1000.0;
  }

  /** Whether what this replica signs can be verified by others: its key is published. */
  public boolean isPublished() {
    Active key = active;
    return key != null && publicKeys.containsKey(key.kid());
  }

  @Override
  public synchronized void catchUp(Connection connection) throws SQLException {
    long asked = System.nanoTime();
    KeyGeneration now = KeyGeneration.read(connection);
    if (now.isBefore(seen)) {
      log.warn("The database has forgotten a rotation of signing keys; it is put back");
      seen.putBack(connection);
      now = KeyGeneration.read(connection);
    }
    if (signs && rotate(connection, now)) {
      now = KeyGeneration.read(connection);
    }
    if (!everRead || !now.equals(seen)) {
      read(connection);
      boolean revoked = now.revokedBelow() > seen.revokedBelow();
      seen = now;
      if (revoked) {
        listeners.forEach(Runnable::run);
      }
    }
    readNanos = asked;
    everRead = true;
  }

  /**
   * One step towards the key that is due. A successor is known everywhere before it signs; but
   * where the key that signs now is revoked, or forgotten by a restored database, the new one signs
   * at once.
   *
   * @return whether a key was published
   */
  private boolean rotate(Connection connection, KeyGeneration now) throws SQLException {
    Active current = active;
    Active coming = next;
    if (current == null || current.generation() < now.revokedBelow() || isForgotten(current)) {
      active = publish(connection);
      next = null;
      return true;
    }
    boolean due = age(current).compareTo(USE) > 0 || current.generation() < now.number();
    if (due && (coming == null || coming.generation() < now.number())) {
      next = publish(connection);
      return true;
    }
    if (coming != null && age(coming).compareTo(PUBLISHED_BEFORE_USE) > 0) {
      active = coming;
      next = null;
    }
    return false;
  }

  private boolean isForgotten(Active key) {
    return everRead && !publicKeys.containsKey(key.kid());
  }

  private static Duration age(Active key) {
    return Duration.ofNanos(System.nanoTime() - key.madeNanos());
  }

  private Active publish(Connection connection) throws SQLException {
    JWK key = generate();
    long generation;
    try (PreparedStatement statement =
        connection.prepareStatement(
            "INSERT INTO signing_key (kid, algorithm, public_jwk, verify_until)"
                + " VALUES (?, ?, ?::jsonb, now() + ? * interval '1 second')"
                + " RETURNING generation")) {
      statement.setString(1, key.getKeyID());
      statement.setString(2, algorithm.getName());
      statement.setString(3, key.toPublicJWK().toJSONString());
      statement.setLong(4, VERIFY.toSeconds());
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        generation = row.getLong(1);
      }
    }
    try (var notify = connection.createStatement()) {
      notify.execute("NOTIFY " + ChangeFeed.CHANNEL);
    }
    log.info("Signing key {} ({}) is published", key.getKeyID(), algorithm);
    return new Active(key.getKeyID(), signer(key), generation, System.nanoTime());
  }

  private JWK generate() {
    try {
      return crypto.generate(algorithm);
    } catch (JOSEException e) {
      throw new IllegalStateException("no signing key can be made for " + algorithm, e);
    }
  }

  private JWSSigner signer(JWK key) {
    try {
      return crypto.signer(key, algorithm);
    } catch (JOSEException e) {
      throw new IllegalStateException("the new signing key cannot sign", e);
    }
  }

  private void read(Connection connection) throws SQLException {
    Map<String, PublicKey> read = new HashMap<>();
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT kid, algorithm, public_jwk FROM signing_key WHERE verify_until > now()");
        ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        read.put(rows.getString(1), publicKey(rows.getString(2), rows.getString(3)));
      }
    } catch (ParseException | JOSEException e) {
      throw new SQLException("a stored public key cannot be read", e);
    }
    publicKeys = Map.copyOf(read);
  }

  private PublicKey publicKey(String algorithmName, String jwk)
      throws ParseException, JOSEException {
    JWK key = JWK.parse(jwk);
    JWSAlgorithm keyAlgorithm = JWSAlgorithm.parse(algorithmName);
    return new PublicKey(key, keyAlgorithm, crypto.verifier(key, keyAlgorithm));
  }
}
