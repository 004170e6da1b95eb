package io.valetkey.broker.proofs;

import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.proofs.Tokens.Answer;
import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** Agents that get a token and use it, again and again, without trying anything twice. */
final class Clients implements AutoCloseable {

  /** A request that was legitimate and was not served. */
  record Refusal(long nanos, String what) {}

  final AtomicInteger served = new AtomicInteger();
  final Queue<Refusal> refused = new ConcurrentLinkedQueue<>();
  final Set<String> kids = ConcurrentHashMap.newKeySet();
  private final List<Thread> threads = new ArrayList<>();
  private final String api;
  private final URI resource;
  private final Map<String, String> form;
  private volatile boolean running = true;

  Clients(int count, String api, String resource, TestIssuer issuer) {
    this.api = api;
    this.resource = URI.create(resource);
    this.form = Tokens.exchange(issuer.token("bot-subject", api));
    for (int i = 0; i < count; i++) {
      threads.add(Thread.ofVirtual().start(this::run));
    }
  }

  private void run() {
    try {
      while (running) {
        Answer token = note("token", () -> Tokens.ask(api, form));
        if (token != null) {
          kids.add(token.parsed().getHeader().getKeyID());
          for (int i = 0; i < 3; i++) {
            note("request", () -> Tokens.get(resource, "Authorization", "Bearer " + token.token()));
          }
        }
        Thread.sleep(50);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Answer note(String what, Ask ask) throws InterruptedException {
    String why;
    try {
      Answer answer = ask.ask();
      if (answer.status() == 200) {
        served.incrementAndGet();
        return answer;
      }
      why = answer.status() + " " + answer.body();
    } catch (IOException | RuntimeException e) {
      why = e.toString();
    }
    refused.add(new Refusal(System.nanoTime(), what + ": " + why));
    return null;
  }

  @Override
  public void close() throws InterruptedException {
    running = false;
    for (Thread thread : threads) {
      thread.join();
    }
  }

  private interface Ask {
    Answer ask() throws IOException, InterruptedException;
  }
}
