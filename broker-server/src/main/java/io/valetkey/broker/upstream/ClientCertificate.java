package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import java.net.Socket;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509KeyManager;
import org.jspecify.annotations.Nullable;

/**
 * What the gateway shows to an upstream in TLS, and its key, which is in this object alone. It does
 * not print the key.
 */
public final class ClientCertificate {

  private final PrivateKey key;
  private final List<X509Certificate> chain;
  private final Instant begun;
  private final Instant end;

  private ClientCertificate(
      PrivateKey key, List<X509Certificate> chain, Instant begun, Instant end) {
    this.key = key;
    this.chain = List.copyOf(chain);
    this.begun = begun;
    this.end = end;
  }

  /**
   * Takes what an authority gave, if it is what was asked for.
   *
   * @param chain its certificate first, then those above it; a root at the end is not shown
   * @param now when it was given
   * @throws io.valetkey.broker.problem.RefusedException if it is something else
   */
  static ClientCertificate of(
      DestinationSpec.Credential.Certificate reference,
      PrivateKey key,
      PublicKey expected,
      List<X509Certificate> chain,
      Instant now) {
    ClientCertificateCheck.check(reference, expected, chain.getFirst());
    List<X509Certificate> shown =
        chain.stream()
            .filter(each -> each.equals(chain.getFirst()) || !isSelfSigned(each))
            .toList();
    Instant end = now.plus(CredentialSettings.MAX_TOKEN_AGE);
    for (X509Certificate each : shown) {
      Instant its = each.getNotAfter().toInstant();
      end = its.isBefore(end) ? its : end;
    }
    if (end.isBefore(now.plus(ClientCertificateCheck.SHORTEST))) {
      throw CredentialText.refused(
          reference, "lives for less than " + ClientCertificateCheck.SHORTEST.toSeconds() + " s");
    }
    return new ClientCertificate(key, shown, now, end);
  }

  private static boolean isSelfSigned(X509Certificate certificate) {
    return certificate.getSubjectX500Principal().equals(certificate.getIssuerX500Principal());
  }

  /** When it was fetched. */
  public Instant begun() {
    return begun;
  }

  /** When it must not be used any more: its own end or that of one above it, an hour at most. */
  public Instant end() {
    return end;
  }

  /** The certificate itself. */
  X509Certificate certificate() {
    return chain.getFirst();
  }

  /** Shows it to every server that asks for a certificate and can verify its kind of key. */
  public X509KeyManager keyManager() {
    return new OneKey();
  }

  @Override
  public String toString() {
    return "ClientCertificate[serial=" + certificate().getSerialNumber().toString(16) + "]";
  }

  /**
   * Chooses by the kind of key and not by the authorities that a server names: one that wants
   * another certificate shall say so by its alert, not get none.
   */
  private final class OneKey extends X509ExtendedKeyManager {

    private static final String ALIAS = "own";

    private @Nullable String choose(String @Nullable [] keyTypes) {
      return keyTypes != null && Arrays.asList(keyTypes).contains(key.getAlgorithm())
          ? ALIAS
          : null;
    }

    @Override
    public @Nullable String chooseEngineClientAlias(
        String @Nullable [] keyTypes, Principal @Nullable [] issuers, @Nullable SSLEngine engine) {
      return choose(keyTypes);
    }

    @Override
    public @Nullable String chooseClientAlias(
        String @Nullable [] keyTypes, Principal @Nullable [] issuers, @Nullable Socket socket) {
      return choose(keyTypes);
    }

    @Override
    public String @Nullable [] getClientAliases(
        @Nullable String keyType, Principal @Nullable [] issuers) {
      return key.getAlgorithm().equals(keyType) ? new String[] {ALIAS} : null;
    }

    @Override
    public X509Certificate @Nullable [] getCertificateChain(@Nullable String alias) {
      return ALIAS.equals(alias) ? chain.toArray(new X509Certificate[0]) : null;
    }

    @Override
    public @Nullable PrivateKey getPrivateKey(@Nullable String alias) {
      return ALIAS.equals(alias) ? key : null;
    }

    @Override
    public String @Nullable [] getServerAliases(
        @Nullable String keyType, Principal @Nullable [] issuers) {
      return null;
    }

    @Override
    public @Nullable String chooseServerAlias(
        @Nullable String keyType, Principal @Nullable [] issuers, @Nullable Socket socket) {
      return null;
    }
  }
}
