package io.valetkey.broker.declaration;

import io.valetkey.broker.declaration.PolicyFolder.Content;
import io.valetkey.broker.policy.ApplyOrder;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.policy.Plan;
import io.valetkey.broker.policy.PolicyApply;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.TransactionException;

/**
 * Keeps what a folder declares in force: it is applied when the process starts, and again whenever
 * its content has changed since. What a replica has applied once it does not apply again by itself,
 * so that replicas with older and with newer files, as in a rolling update, do not undo each
 * other's work. Files that are wrong change nothing: what was applied before stays in force.
 */
public final class PolicyFiles implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(PolicyFiles.class);
  private static final String ACTOR = "policy-files";

  private final PolicyFolder folder;
  private final SetReader reader;
  private final String owner;
  private final PolicyApply apply;
  private final Clock clock;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("policy-files").daemon().factory());

  /** What was decided about; the timer's thread only. */
  private @Nullable String decided;

  private volatile State state;

  /**
   * How it stands.
   *
   * @param owner whose set the folder holds
   * @param applied whether what the folder held when it was last looked at is in force by this
   *     replica's knowledge
   * @param digest what the folder held then, null if it could not be read
   * @param lastApplied when a content of the folder was last found in force or put there
   * @param problem why it is not applied, null if it is
   */
  public record State(
      String owner,
      boolean applied,
      @Nullable String digest,
      @Nullable Instant lastApplied,
      @Nullable Problem problem) {}

  /**
   * Why a folder is not applied.
   *
   * @param code what kind of problem it is
   * @param details what is wrong and where; never a value that was there
   */
  public record Problem(ProblemCode code, List<String> details) {}

  /**
   * Looks at a folder.
   *
   * @param owner whose set it holds
   */
  public PolicyFiles(
      PolicyFolder folder, SetReader reader, String owner, PolicyApply apply, Clock clock) {
    this.folder = folder;
    this.reader = reader;
    this.owner = owner;
    this.apply = apply;
    this.clock = clock;
    this.state = new State(owner, false, null, null, null);
  }

  /** Begins to look, at once and again after each pause. Never waits and never fails. */
  public void start(Duration pause) {
    var _ = timer.scheduleWithFixedDelay(this::look, 0, pause.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** How it stands now. */
  public State state() {
    return state;
  }

  private void look() {
    try {
      Content content = folder.read();
      if (!content.digest().equals(decided)) {
        apply(content);
      }
    } catch (IOException e) {
      notApplied(null, ProblemCode.TEMPORARILY_UNAVAILABLE, List.of("The folder cannot be read."));
    } catch (RuntimeException e) {
      log.error("The policy files could not be looked at", e);
      notApplied(null, ProblemCode.INTERNAL, List.of("It failed on our side; see the log."));
    }
  }

  private void apply(Content content) {
    String digest = content.digest();
    try {
      DeclaredSet set = reader.files(content.files());
      int changed = applied(set).changes().size();
      decided = digest;
      state = new State(owner, true, digest, clock.instant(), null);
      log.info("The policy files of {} are in force, {} changes were made", owner, changed);
    } catch (InvalidResourceException e) {
      decided = digest;
      List<String> details =
          e.errors().stream().map(error -> error.pointer() + ": " + error.detail()).toList();
      notApplied(digest, e.code(), details);
    } catch (RefusedException e) {
      // What is refused stays refused until the files change: tried again later, an older set
      // could come back after a newer one.
      decided = e.code().retryable() ? null : digest;
      notApplied(digest, e.code(), List.of(e.detail()));
    } catch (DataAccessException | TransactionException e) {
      notApplied(
          digest,
          ProblemCode.TEMPORARILY_UNAVAILABLE,
          List.of("The database did not answer in time."));
    }
  }

  private Plan applied(DeclaredSet set) {
    try {
      return apply.ensure(order(set));
    } catch (InvalidResourceException e) {
      throw new InvalidResourceException(e.code(), set.at(e.errors()));
    }
  }

  private ApplyOrder order(DeclaredSet set) {
    if (set.managedBy() != null && !set.managedBy().equals(owner)) {
      throw new RefusedException(
          ProblemCode.INVALID_FIELD, "The files say managedBy, and not " + owner + ".");
    }
    return new ApplyOrder(
        owner, set.resources(), set.prune(), set.generation(), false, false, null, ACTOR, false);
  }

  private void notApplied(@Nullable String digest, ProblemCode code, List<String> details) {
    var problem = new Problem(code, details);
    if (!problem.equals(state.problem())) {
      log.warn("The policy files of {} are not applied: {} {}", owner, code.code(), details);
    }
    state = new State(owner, false, digest, state.lastApplied(), problem);
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }
}
