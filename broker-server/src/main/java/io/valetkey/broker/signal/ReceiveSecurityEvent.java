package io.valetkey.broker.signal;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.identity.SecurityEventVerifier;
import io.valetkey.broker.identity.SecurityEventVerifier.Verified;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Takes one security event token in. Its signature is all the authentication that it has, and its
 * {@code jti} is good once: the id is looked at first and taken in the transaction that stores what
 * the event led to, so that a crash in between loses no event and a replay finds it taken.
 */
public final class ReceiveSecurityEvent {

  private static final String PURPOSE = "security-event";

  private final SecurityEventVerifier verifier;
  private final UsedOnce usedOnce;
  private final ReceiveSignal signals;
  private final AuditLog auditLog;
  private final Map<String, List<String>> issuersByTransmitter;

  /**
   * Makes it.
   *
   * @param issuersByTransmitter the issuers whose keys sign events, with those whose subjects each
   *     may name
   */
  public ReceiveSecurityEvent(
      SecurityEventVerifier verifier,
      UsedOnce usedOnce,
      ReceiveSignal signals,
      AuditLog auditLog,
      Map<String, List<String>> issuersByTransmitter) {
    this.verifier = verifier;
    this.usedOnce = usedOnce;
    this.signals = signals;
    this.auditLog = auditLog;
    this.issuersByTransmitter = Map.copyOf(issuersByTransmitter);
  }

  /**
   * Takes a token in. When this returns, the event has led to what it leads to, now or before.
   *
   * @param record the open record of the request; completed unless this throws
   * @throws RefusedException with the true reason, if it is not accepted
   */
  public void receive(String token, OpenRecord record) {
    Verified verified = verifier.verify(token, issuersByTransmitter.keySet());
    record.detail("transmitter", verified.transmitter());
    Signal signal = SharedSignal.read(verified);
    if (usedOnce.isTaken(PURPOSE, verified.transmitter(), verified.jti())) {
      recordReplay(record);
      return;
    }
    if (SharedSignal.VERIFICATION.equals(signal.facts().event())) {
      auditLog.await(
          record.detail("event", SharedSignal.VERIFICATION).granted(OpenRecord.ANY_EPOCH));
      return;
    }
    var sender =
        new Sender(
            "transmitter " + verified.transmitter(),
            null,
            Set.copyOf(issuersByTransmitter.getOrDefault(verified.transmitter(), List.of())));
    if (signals.receive(signal, sender, record, () -> claim(verified)) == null) {
      recordReplay(record);
    }
  }

  private boolean claim(Verified verified) {
    return usedOnce.claim(
        PURPOSE,
        verified.transmitter(),
        verified.jti(),
        verified.issuedAt().plus(SecurityEventVerifier.OLDEST));
  }

  private void recordReplay(OpenRecord record) {
    auditLog.await(
        record.refused(ProblemCode.TOKEN_REPLAYED, "The security event was received before"));
  }
}
