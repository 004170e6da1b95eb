package io.valetkey.quickstart;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;

/**
 * The loopback ports of the broker: the usual ones, or free ones where those are taken.
 *
 * @param api of the token endpoint and the admin API
 * @param gateway of the gateway
 * @param management of health and metrics
 * @param moved what to say about those that were taken
 */
record Ports(int api, int gateway, int management, List<String> moved) {

  static final String LOOPBACK = "127.0.0.1";

  static Ports choose() {
    List<String> moved = new ArrayList<>();
    return new Ports(
        usualOrFree("API", 8080, moved),
        usualOrFree("gateway", 8090, moved),
        usualOrFree("management", 9090, moved),
        List.copyOf(moved));
  }

  String apiUrl() {
    return "http://" + LOOPBACK + ":" + api;
  }

  String gatewayUrl() {
    return "http://" + LOOPBACK + ":" + gateway;
  }

  String managementUrl() {
    return "http://" + LOOPBACK + ":" + management;
  }

  private static int usualOrFree(String name, int usual, List<String> moved) {
    if (isFree(usual)) {
      return usual;
    }
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      int free = socket.getLocalPort();
      moved.add("Port " + usual + " is taken: the " + name + " is at port " + free + " instead.");
      return free;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isFree(int port) {
    try (ServerSocket socket = new ServerSocket()) {
      socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      return true;
    } catch (IOException e) {
      return false;
    }
  }
}
