package io.valetkey.broker.console;

import io.valetkey.broker.lease.LeaseBook;
import io.valetkey.broker.stop.GatewayCensus;
import io.valetkey.broker.stop.StopOrder;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopTarget;
import java.util.List;

/** The stops, and how far each is. */
final class StopList {

  private static final int NEWEST = 200;

  private final StopStore stops;
  private final GatewayCensus gateways;
  private final LeaseBook leases;

  StopList(StopStore stops, GatewayCensus gateways, LeaseBook leases) {
    this.stops = stops;
    this.gateways = gateways;
    this.leases = leases;
  }

  /** How far a stop is, everywhere. */
  record Progress(StopOrder stop, GatewayCensus.Progress gateways, LeaseBook.Progress leases) {

    boolean isAcknowledged() {
      return gateways.isComplete() && leases.isComplete();
    }
  }

  /** The newest stops, whether or not they are in force. */
  List<StopOrder> newest() {
    return stops.list(Long.MAX_VALUE, NEWEST);
  }

  /** Of the newest stops those that end this target now. */
  List<StopOrder> inForce(StopTarget target) {
    return newest().stream()
        .filter(stop -> stop.endedAt() == null)
        .filter(stop -> stop.target().equals(target) || stop.target().equals(StopTarget.EVERYTHING))
        .toList();
  }

  Progress progress(StopOrder stop) {
    return new Progress(
        stop,
        gateways.progress(stop),
        leases.progress(stop.target(), stop.epoch(), stop.createdAt()));
  }
}
