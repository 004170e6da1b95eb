package io.valetkey.broker.proofs;

import io.valetkey.broker.proofs.Tokens.Answer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** Clients that never stop asking for tokens, and remember what they were given. */
final class Load implements AutoCloseable {

  private final List<Thread> clients = new ArrayList<>();
  private final Queue<Answer> granted = new ConcurrentLinkedQueue<>();
  private final Queue<Answer> refused = new ConcurrentLinkedQueue<>();
  private final AtomicInteger unanswered = new AtomicInteger();
  private volatile boolean running = true;

  Load(int clients, String brokerUrl, Map<String, String> form) {
    for (int i = 0; i < clients; i++) {
      this.clients.add(Thread.ofVirtual().start(() -> run(brokerUrl, form)));
    }
  }

  private void run(String brokerUrl, Map<String, String> form) {
    while (running) {
      try {
        Answer answer = Tokens.ask(brokerUrl, form);
        (answer.hasToken() ? granted : refused).add(answer);
        if (!answer.hasToken()) {
          Thread.sleep(20);
        }
      } catch (IOException | RuntimeException e) {
        unanswered.incrementAndGet();
        pause();
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private static void pause() {
    try {
      Thread.sleep(20);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  Collection<Answer> granted() {
    return granted;
  }

  Collection<Answer> refused() {
    return refused;
  }

  int unanswered() {
    return unanswered.get();
  }

  @Override
  public void close() throws InterruptedException {
    running = false;
    for (Thread client : clients) {
      client.join();
    }
  }
}
