package io.valetkey.broker.lease;

/**
 * A lease that was just made, with the credential that exists nowhere else on our side. A class,
 * because a record would be one with a secret in it.
 */
public final class HandedLease {

  private final Lease lease;
  private final LeasedCredential credential;

  HandedLease(Lease lease, LeasedCredential credential) {
    this.lease = lease;
    this.credential = credential;
  }

  /** The lease. */
  public Lease lease() {
    return lease;
  }

  /** What it gives. */
  public LeasedCredential credential() {
    return credential;
  }

  @Override
  public String toString() {
    return "HandedLease[" + lease.id() + "]";
  }
}
