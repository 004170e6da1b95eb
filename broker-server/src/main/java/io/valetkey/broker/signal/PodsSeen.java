package io.valetkey.broker.signal;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.valetkey.broker.identity.KubernetesPod;
import io.valetkey.broker.identity.VerifiedWorkload;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * Which pods got tokens as which agents, for all replicas. Noting a pod costs a look into memory;
 * the first time, and again after some hours, one thread writes it down in batches. A pod that
 * cannot be written now is noted again with its next token.
 */
public final class PodsSeen implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(PodsSeen.class);
  private static final Duration WRITTEN_AGAIN = Duration.ofHours(6);
  private static final int REMEMBERED = 100_000;
  private static final int QUEUE = 8192;
  private static final int BATCH = 500;

  private final JdbcClient database;
  private final Cache<Key, Sighting> known =
      Caffeine.newBuilder().maximumSize(REMEMBERED).expireAfterWrite(WRITTEN_AGAIN).build();
  private final BlockingQueue<Sighting> queue = new ArrayBlockingQueue<>(QUEUE);
  private final Thread writer;
  private volatile Consumer<List<Sighting>> listener = written -> {};
  private volatile boolean running = true;

  private record Key(String issuer, String podUid) {}

  /**
   * A pod that got a token.
   *
   * @param issuer the name of the cluster's issuer
   * @param subject the subject of the identity
   * @param agent the agent that it was then
   */
  record Sighting(String issuer, KubernetesPod pod, String subject, String agent) {}

  /** Starts the writer. */
  public PodsSeen(JdbcClient database) {
    this.database = database;
    this.writer = Thread.ofPlatform().name("pods-seen").daemon().start(this::run);
  }

  /**
   * Calls the listener, on the writing thread, with pods that were written down. If it fails, they
   * are written, and it is called, again with their next tokens.
   */
  void onWritten(Consumer<List<Sighting>> whenWritten) {
    this.listener = whenWritten;
  }

  /** Notes the pod of a workload that just got a token, if it is one. Never blocks, never fails. */
  public void note(VerifiedWorkload workload, String agent) {
    KubernetesPod pod = workload.pod();
    if (pod == null) {
      return;
    }
    Key key = new Key(workload.issuer(), pod.uid());
    Sighting last = known.getIfPresent(key);
    if (last != null && last.agent().equals(agent) && last.subject().equals(workload.subject())) {
      return;
    }
    Sighting sighting = new Sighting(workload.issuer(), pod, workload.subject(), agent);
    if (queue.offer(sighting)) {
      known.put(key, sighting);
    }
  }

  /**
   * The sightings of a pod: of the one with this uid, or of all that had its name in the last days.
   *
   * @throws DataAccessException if the database does not answer
   */
  List<Sighting> of(String issuer, Signal.About.Pod pod) {
    return database
        .sql(
            """
            SELECT pod_uid, subject, agent FROM pod_seen
            WHERE issuer = :issuer AND namespace = :namespace AND pod_name = :name
              AND (:uid::text IS NULL OR pod_uid = :uid)
            LIMIT 100
            """)
        .param("issuer", issuer)
        .param("namespace", pod.namespace())
        .param("name", pod.name())
        .param("uid", pod.uid())
        .query((row, number) ->
            new Sighting(
                issuer,
                new KubernetesPod(pod.namespace(), pod.name(), row.getString(1)),
                row.getString(2),
                row.getString(3)))
        .list();
  }

  private void run() {
    while (running) {
      List<Sighting> batch = new ArrayList<>();
      try {
        Sighting first = queue.poll(200, TimeUnit.MILLISECONDS);
        if (first == null) {
          continue;
        }
        batch.add(first);
        queue.drainTo(batch, BATCH - 1);
        write(batch);
      } catch (InterruptedException e) {
        return;
      } catch (RuntimeException | Error e) {
        // Whatever it was, the thread must go on, and these pods come again with their next token.
        log.warn("{} pods could not be noted: {}", batch.size(), e.getClass().getSimpleName());
        batch.forEach(s -> known.invalidate(new Key(s.issuer(), s.pod().uid())));
      }
    }
  }

  private void write(List<Sighting> batch) {
    // One statement may touch a row once only; the later sighting counts.
    Map<Key, Sighting> latest = new LinkedHashMap<>();
    batch.forEach(s -> latest.put(new Key(s.issuer(), s.pod().uid()), s));
    List<Sighting> rows = List.copyOf(latest.values());
    database
        .sql(
            """
            INSERT INTO pod_seen (issuer, pod_uid, namespace, pod_name, subject, agent)
            SELECT * FROM unnest(?, ?, ?, ?, ?, ?)
            ON CONFLICT (issuer, pod_uid) DO UPDATE
              SET subject = excluded.subject, agent = excluded.agent, seen_at = now()
            """)
        .params(
            column(rows, Sighting::issuer),
            column(rows, s -> s.pod().uid()),
            column(rows, s -> s.pod().namespace()),
            column(rows, s -> s.pod().name()),
            column(rows, Sighting::subject),
            column(rows, Sighting::agent))
        .update();
    listener.accept(rows);
  }

  private static String[] column(List<Sighting> rows, Function<Sighting, String> value) {
    return rows.stream().map(value).toArray(String[]::new);
  }

  @Override
  public void close() {
    running = false;
    writer.interrupt();
  }
}
