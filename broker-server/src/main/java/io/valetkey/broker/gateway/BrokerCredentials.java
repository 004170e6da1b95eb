package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.upstream.UpstreamCredential;
import io.valetkey.broker.upstream.UpstreamCredentials;
import java.util.concurrent.CompletableFuture;

/** The credentials that the broker keeps in memory for a short time. */
public final class BrokerCredentials implements Credentials {

  private final UpstreamCredentials credentials;

  /** Takes them from here. */
  public BrokerCredentials(UpstreamCredentials credentials) {
    this.credentials = credentials;
  }

  @Override
  public CompletableFuture<Credential> get(DestinationSpec.Credential reference) {
    return credentials.get(reference).thenApply(BrokerCredentials::paired);
  }

  @Override
  public CompletableFuture<Credential> refresh(DestinationSpec.Credential reference) {
    return credentials.refresh(reference).thenApply(BrokerCredentials::paired);
  }

  private static Credential paired(UpstreamCredential credential) {
    return new Credential(credential.fields(), credential.version(), credential.certificate());
  }
}
