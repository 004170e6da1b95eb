package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import java.time.Clock;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The real credentials, in memory for a short time.
 *
 * <p>A value is used for its ttl and fetched anew in the background from half of it on, so that in
 * steady use nobody waits for a source. One reference is fetched once at a time, however many ask.
 * If its source does not answer, a value is used up to {@link CredentialSettings#MAX_AGE}; if the
 * source answers that there is none, it is gone at once. A token of a provider is used until
 * shortly before its end instead, an hour at most, and so is a certificate, which is fetched anew
 * from half of its life on. Whatever is older than that age is removed from memory, used or not.
 */
public final class UpstreamCredentials implements AutoCloseable {

  private final CredentialSource<DestinationSpec.Credential.File> files;
  private final CredentialSource<DestinationSpec.Credential.VaultKv> vault;
  private final ProviderTokens tokens;
  private final CertificateSource certificates;
  private final CredentialSettings settings;
  private final Clock clock;
  private final AtomicLong versions = new AtomicLong();
  private final Map<DestinationSpec.Credential, CachedCredential> entries =
      new ConcurrentHashMap<>();
  private volatile boolean closed;

  /**
   * Makes an empty cache.
   *
   * @param files answers for references to files; {@link CredentialSource#unconfigured} if none
   * @param vault answers for references into Vault; likewise
   * @param providers the way to providers of tokens
   * @param federation this installation as an issuer that they trust; null if it is none
   * @param certificates makes certificates; {@link CertificateSource#unconfigured} if none
   * @param clock measures the age of values
   */
  public UpstreamCredentials(
      CredentialSource<DestinationSpec.Credential.File> files,
      CredentialSource<DestinationSpec.Credential.VaultKv> vault,
      ProviderHttp providers,
      @Nullable Federation federation,
      CertificateSource certificates,
      CredentialSettings settings,
      Clock clock) {
    this.files = files;
    this.vault = vault;
    this.tokens = new ProviderTokens(providers, this::secret, this::key, federation, clock);
    this.certificates = certificates;
    this.settings = settings;
    this.clock = clock;
  }

  /**
   * The credential of a destination. Never blocks the caller.
   *
   * @return completes within the deadline, with the credential or with a {@link RefusedException}
   *     of code {@link ProblemCode#CREDENTIAL_UNAVAILABLE}. It belongs to this caller alone:
   *     completing or cancelling it changes nothing for others.
   */
  public CompletableFuture<UpstreamCredential> get(DestinationSpec.Credential reference) {
    return closed ? closed(reference) : entry(reference).get();
  }

  /**
   * The credential, fetched anew because the upstream rejected the one that {@link #get} gave.
   * Joins a fetch that is under way; within {@link CredentialSettings#refreshInterval()} of the
   * last one it answers as that one did, so that a wrong credential cannot make a flood of fetches.
   *
   * @return as {@link #get}; compare the version to learn whether there is another value
   */
  public CompletableFuture<UpstreamCredential> refresh(DestinationSpec.Credential reference) {
    return closed ? closed(reference) : entry(reference).refresh();
  }

  /** Forgets one credential. A fetch under way does not bring it back. */
  public void drop(DestinationSpec.Credential reference) {
    entries.remove(reference);
  }

  /** Forgets every credential. Fetches under way do not bring them back. */
  public void dropAll() {
    entries.clear();
  }

  /** Forgets everything and refuses from now on. */
  @Override
  public void close() {
    closed = true;
    entries.clear();
  }

  /** How many credentials are held or being fetched. */
  public int size() {
    return entries.size();
  }

  /** The age of the oldest value that is held, in seconds; 0 if none is. */
  public double oldestAgeSeconds() {
    return entries.values().stream().mapToDouble(CachedCredential::ageSeconds).max().orElse(0);
  }

  private CachedCredential entry(DestinationSpec.Credential reference) {
    CachedCredential known = entries.get(reference);
    if (known != null) {
      return known;
    }
    if (entries.size() >= settings.maxEntries()) {
      evictLeastRecentlyUsed();
    }
    return entries.computeIfAbsent(
        reference,
        key ->
            new CachedCredential(
                key, () -> read(key), settings, clock, versions, this::scheduleSweep));
  }

  private Loaded read(DestinationSpec.Credential reference) {
    return switch (reference) {
      case DestinationSpec.Credential.Minted minted -> tokens.fetch(minted);
      case DestinationSpec.Credential.Certificate certificate ->
          Loaded.of(certificates.issue(certificate));
      case DestinationSpec.Credential other -> new Loaded(stored(other), null);
    };
  }

  private SecretValue secret(DestinationSpec.Credential reference) {
    return switch (reference) {
      case DestinationSpec.Credential.File file -> files.read(file);
      case DestinationSpec.Credential.VaultKv kv -> vault.read(kv);
      case DestinationSpec.Credential other ->
          throw CredentialText.refused(other, "is not one text");
    };
  }

  private SecretValue key(DestinationSpec.Credential reference) {
    return switch (reference) {
      case DestinationSpec.Credential.File file -> files.readKey(file);
      case DestinationSpec.Credential.VaultKv kv -> vault.readKey(kv);
      case DestinationSpec.Credential other -> throw CredentialText.refused(other, "holds no key");
    };
  }

  private CredentialFields stored(DestinationSpec.Credential reference) {
    return switch (reference) {
      case DestinationSpec.Credential.File _, DestinationSpec.Credential.VaultKv _ ->
          CredentialFields.of(secret(reference));
      case DestinationSpec.Credential.Fields(
              DestinationSpec.Credential.File file,
              List<String> required,
              List<String> optional) ->
          files.read(file, required, optional);
      case DestinationSpec.Credential.Fields(
              DestinationSpec.Credential.VaultKv kv,
              List<String> required,
              List<String> optional) ->
          vault.read(kv, required, optional);
      case DestinationSpec.Credential.Fields fields ->
          throw CredentialText.refused(fields, "has no fields");
      case DestinationSpec.Credential.Minted minted ->
          throw CredentialText.refused(minted, "is not stored");
      case DestinationSpec.Credential.VaultDynamic dynamic ->
          throw CredentialText.refused(dynamic, "is leased to agents, not used by the gateway");
      case DestinationSpec.Credential.VaultPki pki ->
          throw CredentialText.refused(pki, "belongs to no destination");
      case DestinationSpec.Credential.Certificate certificate ->
          throw CredentialText.refused(certificate, "is not stored");
      case DestinationSpec.Credential.None none ->
          throw CredentialText.refused(none, "belongs to the destination");
    };
  }

  private void evictLeastRecentlyUsed() {
    entries.entrySet().stream()
        .min(Comparator.comparing(entry -> entry.getValue().lastUsed()))
        .ifPresent(oldest -> entries.remove(oldest.getKey(), oldest.getValue()));
  }

  private void scheduleSweep(Duration after) {
    CompletableFuture.delayedExecutor(after.toMillis(), TimeUnit.MILLISECONDS, Runnable::run)
        .execute(this::sweep);
  }

  /**
   * Removes what has passed its greatest age: nobody asks for it any more, so nobody else would.
   */
  void sweep() {
    entries.values().removeIf(CachedCredential::isSpent);
  }

  private static CompletableFuture<UpstreamCredential> closed(
      DestinationSpec.Credential reference) {
    return CompletableFuture.failedFuture(
        CredentialText.away(reference, "cannot be read: shutting down"));
  }
}
