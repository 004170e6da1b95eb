package io.valetkey.broker.gateway;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The open WebSockets of this gateway, which must be told when it ends. Safe for any thread. */
final class OpenWebSockets {

  private final Set<WebSocketRelay> open = ConcurrentHashMap.newKeySet();

  void add(WebSocketRelay relay) {
    open.add(relay);
  }

  void remove(WebSocketRelay relay) {
    open.remove(relay);
  }

  /** Tells both sides of each that this gateway ends. */
  void goAway() {
    open.forEach(WebSocketRelay::goAway);
  }
}
