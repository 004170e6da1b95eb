package io.valetkey.broker.approval;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.security.SecureRandom;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.springframework.transaction.TransactionStatus;

/**
 * The agent's side of approvals: asking for one, and using it. Every change of a state is one
 * statement that names the state which it expects, so of two that come at once one is too late.
 */
public final class ApprovalStore {

  /** How many requests of one agent may wait for somebody. */
  public static final int MOST_PENDING_OF_AGENT = 20;

  /** How many may wait altogether. */
  public static final int MOST_PENDING = 1000;

  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int BITE = 200;

  private static final String SAME_REQUEST =
      " a.agent = :agent AND a.destination = :destination AND a.scope = :scope AND a.request_hash ="
          + " :hash ";

  private static final String END = ", body = NULL, fields = NULL, ended_at = clock_timestamp() ";

  private final ApprovalSteps steps;

  ApprovalStore(ApprovalSteps steps) {
    this.steps = steps;
  }

  /**
   * How it stands with this request; asks for an approval if nobody did.
   *
   * @return pending, approved or denied
   * @throws RefusedException {@link ProblemCode#APPROVALS_PENDING} if too many wait already, {@link
   *     ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not answer
   */
  public Standing ask(AskedRequest request) {
    Optional<Standing> known = steps.reading(() -> find(request));
    return known.isPresent() ? known.get() : steps.inTransaction(status -> askAnew(request));
  }

  private Optional<Standing> find(AskedRequest request) {
    return steps
        .sql(
            "SELECT a.id, a.state, a.expires_at FROM approval a WHERE"
                + SAME_REQUEST
                + "AND a.state IN ('pending', 'approved', 'denied') AND approval_stands(a)"
                + " ORDER BY a.created_at DESC LIMIT 1")
        .params(key(request))
        .query(ApprovalRows::standing)
        .optional();
  }

  private static Map<String, Object> key(AskedRequest request) {
    Map<String, Object> key = new HashMap<>();
    key.put("agent", request.agent());
    key.put("destination", request.shown().destination());
    key.put("scope", request.scope());
    key.put("hash", request.shown().hash());
    return key;
  }

  private Standing askAnew(AskedRequest request) {
    // Those who ask wait for one another, so that a limit is one.
    steps
        .sql("SELECT pg_advisory_xact_lock(hashtextextended('valetkey.approval', 0))")
        .query((row, number) -> number)
        .list();
    Optional<Standing> meanwhile = find(request);
    if (meanwhile.isPresent()) {
      return meanwhile.get();
    }
    List<Approval> over =
        steps
            .sql(
                "UPDATE approval a SET state = 'expired'"
                    + END
                    + "WHERE"
                    + SAME_REQUEST
                    + "AND a.state IN ('pending', 'approved') AND NOT approval_stands(a) RETURNING "
                    + ApprovalRows.COLUMNS)
            .params(key(request))
            .query(ApprovalRows::read)
            .list();
    over.forEach(ended -> steps.write(steps.record("approval.expire", ended, null, null)));
    requireRoom(request.agent());
    Approval asked = insert(request);
    steps.write(steps.record("approval.request", asked, null, null));
    return new Standing(asked.id(), ApprovalState.PENDING, asked.expiresAt());
  }

  private void requireRoom(String agent) {
    boolean full =
        steps
            .sql(
                "SELECT count(*) FILTER (WHERE agent = :agent) >= :ofAgent OR count(*) >= :of FROM"
                    + " approval WHERE state = 'pending' AND expires_at > clock_timestamp()")
            .param("agent", agent)
            .param("ofAgent", MOST_PENDING_OF_AGENT)
            .param("of", MOST_PENDING)
            .query(Boolean.class)
            .single();
    if (full) {
      throw new RefusedException(
          ProblemCode.APPROVALS_PENDING, "As many requests wait for an approval as may");
    }
  }

  private Approval insert(AskedRequest request) {
    ShownRequest shown = request.shown();
    byte[] body = shown.body();
    Map<String, Object> values = key(request);
    values.put("id", new UUID(RANDOM.nextLong(), RANDOM.nextLong()));
    values.put("issuer", request.issuer());
    values.put("subject", request.subject());
    values.put("jti", request.jti());
    values.put("grant", request.grant());
    values.put("epoch", request.epoch());
    values.put("method", shown.method());
    values.put("url", shown.url());
    values.put("fields", ApprovalRows.json(shown.fields()));
    values.put("body", body);
    values.put("size", body.length);
    values.put("valid", request.validFor().toSeconds());
    return steps
        .sql(
            "INSERT INTO approval AS a (id, state, agent, issuer, subject, jti, destination, scope,"
                + " grant_name, epoch, terms, request_hash, method, url, content_type, fields,"
                + " body, body_size, valid_seconds, expires_at) VALUES (:id, 'pending', :agent,"
                + " :issuer, :subject, :jti, :destination, :scope, :grant, :epoch,"
                + " coalesce(approval_terms(:destination, :scope, :grant), ''), :hash, :method,"
                + " :url, :type, :fields::jsonb, :body, :size, :valid, clock_timestamp() + :valid *"
                + " interval '1 second') RETURNING "
                + ApprovalRows.COLUMNS)
        .params(values)
        .param("type", shown.contentType())
        .query(ApprovalRows::read)
        .single();
  }

  /** What came of an attempt to use an approval. */
  public enum Use {
    /** It is used up: the request may be sent now. */
    USED,
    /** There is none, or there is none any more. */
    GONE,
    /** A stop came between: decide again. */
    DECIDE_AGAIN
  }

  /**
   * Uses an approval up. When this says {@link Use#USED}, that is durable together with its audit
   * record, and no stop came after the decision.
   *
   * @param id the approval
   * @param request the request as it is about to be sent
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer; the approval may then be used up or not
   */
  public Use use(UUID id, AskedRequest request) {
    return steps.inTransaction(status -> use(id, request, status));
  }

  private Use use(UUID id, AskedRequest request, TransactionStatus status) {
    Optional<Approval> used =
        steps
            .sql(
                "UPDATE approval a SET state = 'used'"
                    + END
                    + "WHERE a.id = :id AND"
                    + SAME_REQUEST
                    + "AND a.state = 'approved' AND approval_stands(a) RETURNING "
                    + ApprovalRows.COLUMNS)
            .params(key(request))
            .param("id", id)
            .query(ApprovalRows::read)
            .optional();
    if (used.isEmpty()) {
      return Use.GONE;
    }
    if (steps.writeUnder(request.epoch(), steps.record("approval.use", used.get(), null, null))) {
      return Use.USED;
    }
    status.setRollbackOnly();
    return Use.DECIDE_AGAIN;
  }

  /**
   * How it stands with an approval of this agent for this destination; that of anybody else does
   * not exist.
   */
  public Optional<Standing> find(UUID id, String agent, String destination) {
    return steps.reading(() ->
        steps
            .sql(
                "SELECT a.id, "
                    + ApprovalRows.STATE
                    + ", a.expires_at FROM approval a WHERE a.id = ? AND a.agent = ? AND"
                    + " a.destination = ?")
            .params(id, agent, destination)
            .query(ApprovalRows::standing)
            .optional());
  }

  /** Writes down what is over, removes its bodies, and forgets what ended a week ago. */
  public void sweep() {
    int ended;
    do {
      ended = steps.inTransaction(status -> expire());
    } while (ended == BITE);
    var _ =
        steps.inTransaction(status ->
            steps
                .sql(
                    "DELETE FROM approval WHERE id IN (SELECT id FROM approval WHERE ended_at <"
                        + " now() - interval '7 days' LIMIT 5000)")
                .update());
  }

  private int expire() {
    List<Approval> over =
        steps
            .sql(
                "UPDATE approval a SET state = 'expired'"
                    + END
                    + "WHERE a.state IN ('pending', 'approved') AND a.id IN (SELECT o.id FROM"
                    + " approval o WHERE o.state IN ('pending', 'approved') AND NOT"
                    + " approval_stands(o) LIMIT "
                    + BITE
                    + " FOR UPDATE SKIP LOCKED) RETURNING "
                    + ApprovalRows.COLUMNS)
            .query(ApprovalRows::read)
            .list();
    over.forEach(ended -> steps.write(steps.record("approval.expire", ended, null, null)));
    return over.size();
  }
}
