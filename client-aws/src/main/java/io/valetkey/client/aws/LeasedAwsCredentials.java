package io.valetkey.client.aws;

import io.valetkey.client.CurrentLease;
import io.valetkey.client.Destination;
import io.valetkey.client.Lease;
import io.valetkey.client.RefusedException;
import io.valetkey.client.UnavailableException;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.utils.SdkAutoCloseable;

/**
 * Leased credentials of a destination of kind {@code aws}, refreshed ahead of their end.
 *
 * <pre>{@code
 * LeasedAwsCredentials credentials = LeasedAwsCredentials.of(valetkey.destination("reports"));
 * S3Client s3 = S3Client.builder().credentialsProvider(credentials).build();
 * }</pre>
 *
 * <p>One for all clients; it asks the broker about twice in the life of a lease, however short that
 * is, where the SDK's own container provider asks for each request that comes within the last 15
 * minutes. Safe for any number of threads. Close it when the program ends: that takes the
 * credentials back where AWS can take them back ({@code iam_user}); session tokens stay valid until
 * their own end.
 */
public final class LeasedAwsCredentials implements AwsCredentialsProvider, SdkAutoCloseable {
  private static final String PROVIDER = "Valetkey";

  private final CurrentLease current;
  private volatile @Nullable Converted converted;

  /** The same object for the same lease, so that what the SDK derives from it is derived once. */
  private record Converted(Lease lease, long expiresAtMillis, AwsCredentials credentials) {
    @Override
    public String toString() {
      return "Converted[" + lease + "]";
    }
  }

  private LeasedAwsCredentials(CurrentLease current) {
    this.current = current;
  }

  /**
   * Credentials of this destination. Sends nothing yet.
   *
   * @param destination of kind {@code aws}; with {@link Destination#withScopes} if it has several
   *     scopes
   */
  public static LeasedAwsCredentials of(Destination destination) {
    return new LeasedAwsCredentials(destination.currentLease());
  }

  /**
   * Credentials that have not ended, from memory in nearly every call.
   *
   * @throws RefusedException if the broker refuses: stop
   * @throws UnavailableException if there is neither a lease nor an answer: try again later
   */
  @Override
  public AwsCredentials resolveCredentials() {
    Lease lease = current.get();
    long expires = lease.expiresAt().toEpochMilli();
    Converted known = converted;
    if (known == null || known.expiresAtMillis != expires || !known.lease.id().equals(lease.id())) {
      known = new Converted(lease, expires, convert(lease));
      converted = known;
    }
    return known.credentials;
  }

  private static AwsCredentials convert(Lease lease) {
    String id = lease.get("access_key_id");
    String secret = lease.get("secret_access_key");
    return lease
        .find("session_token")
        .<AwsCredentials>map(token ->
            AwsSessionCredentials.builder()
                .accessKeyId(id)
                .secretAccessKey(secret)
                .sessionToken(token)
                .expirationTime(lease.expiresAt())
                .providerName(PROVIDER)
                .build())
        .orElseGet(() ->
            AwsBasicCredentials.builder()
                .accessKeyId(id)
                .secretAccessKey(secret)
                .providerName(PROVIDER)
                .build());
  }

  /** Gives the credentials back. */
  @Override
  public void close() {
    current.close();
  }

  /** Says everything but the credentials. */
  @Override
  public String toString() {
    return "LeasedAwsCredentials[" + current + "]";
  }
}
