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
  private volatile @Nullable Active active;
  private volatile @Nullable Active next;
  private volatile Map<String, PublicKey> publicKeys = Map.of();
  private String readState = "";

  /**
   * The key that signs now.
   *
   * @param kid its id
   * @param signer signs with it
   * @param madeNanos when it was published, by the monotonic clock
   */
  record Active(String kid, JWSSigner signer, long madeNanos) {}

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
   */
  public SigningKeys(CryptoProvider crypto, JWSAlgorithm algorithm, boolean signs) {
    this.crypto = crypto;
    this.algorithm = algorithm;
    this.signs = signs;
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
    if (signs) {
      rotate(connection);
    }
    String latest = latest(connection);
    if (!latest.equals(readState)) {
      read(connection);
      readState = latest;
    }
  }

  /** Changes whenever a key came or ended, so that the keys are read when they have changed. */
  private static String latest(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT count(*), max(created_at) FROM signing_key WHERE verify_until > now()");
        ResultSet rows = statement.executeQuery()) {
      rows.next();
      return rows.getLong(1) + " " + rows.getString(2);
    }
  }

  private void rotate(Connection connection) throws SQLException {
    Active current = active;
    Active coming = next;
    if (current == null) {
      active = publish(connection);
    } else if (coming == null && age(current).compareTo(USE) > 0) {
      next = publish(connection);
    } else if (coming != null && age(coming).compareTo(PUBLISHED_BEFORE_USE) > 0) {
      active = coming;
      next = null;
    }
  }

  private static Duration age(Active key) {
    return Duration.ofNanos(System.nanoTime() - key.madeNanos());
  }

  private Active publish(Connection connection) throws SQLException {
    JWK key = generate();
    try (PreparedStatement statement =
        connection.prepareStatement(
            "INSERT INTO signing_key (kid, algorithm, public_jwk, verify_until)"
                + " VALUES (?, ?, ?::jsonb, now() + ? * interval '1 second')")) {
      statement.setString(1, key.getKeyID());
      statement.setString(2, algorithm.getName());
      statement.setString(3, key.toPublicJWK().toJSONString());
      statement.setLong(4, VERIFY.toSeconds());
      statement.execute();
    }
    try (var notify = connection.createStatement()) {
      notify.execute("NOTIFY " + ChangeFeed.CHANNEL);
    }
    log.info("Signing key {} ({}) is published", key.getKeyID(), algorithm);
    return new Active(key.getKeyID(), signer(key), System.nanoTime());
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
