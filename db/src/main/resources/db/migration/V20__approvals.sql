-- Requests that somebody has to approve before a gateway sends them. What a row says of the request never changes: what
-- is approved is what was shown.
CREATE TABLE approval (
  id            uuid PRIMARY KEY,
  state         text NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'used', 'expired')),

  -- Who asked, by which permission, and under which stop epoch: a later stop of any of them ends it.
  agent         text NOT NULL,
  issuer        text NOT NULL,
  subject       text NOT NULL,
  jti           text NOT NULL,
  destination   text NOT NULL,
  scope         text NOT NULL,
  grant_name    text NOT NULL,
  epoch         bigint NOT NULL,
  -- What destination, scope and grant said then.
  terms         bytea NOT NULL,

  -- The request. Its fields and its body are removed once nobody has to look at them any more.
  request_hash  bytea NOT NULL CHECK (length(request_hash) = 32),
  method        text NOT NULL,
  url           text NOT NULL,
  content_type  text,
  fields        jsonb,
  body          bytea CHECK (length(body) <= 262144),
  body_size     int NOT NULL,

  valid_seconds int NOT NULL CHECK (valid_seconds > 0),
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Until then it waits for a decision; once approved, until then it can be used.
  expires_at    timestamptz NOT NULL,

  decided_by    text,
  decided_at    timestamptz,
  reason        text,
  ended_at      timestamptz,

  CHECK ((state IN ('denied', 'used', 'expired')) = (ended_at IS NOT NULL)),
  CHECK (state NOT IN ('approved', 'denied', 'used') OR (decided_by IS NOT NULL AND decided_at IS NOT NULL)),
  CHECK (ended_at IS NULL OR (body IS NULL AND fields IS NULL))
);
CREATE UNIQUE INDEX approval_request ON approval (agent, destination, scope, request_hash)
  WHERE state IN ('pending', 'approved');
CREATE INDEX approval_denied ON approval (agent, destination, scope, request_hash) WHERE state = 'denied';
CREATE INDEX approval_open ON approval (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approval_newest ON approval (created_at DESC, id DESC);

-- Stops of the target of a row are looked for by the target.
CREATE INDEX stop_target ON stop (target_kind, target, epoch);

-- What destination, scope and grant say now; null if one of them is gone.
CREATE FUNCTION approval_terms(of_destination text, of_scope text, of_grant text) RETURNS bytea
  LANGUAGE sql SET search_path = ${flyway:defaultSchema}, pg_temp AS $$
  SELECT sha256(convert_to(d.spec::text || s.spec::text || g.spec::text, 'UTF8'))
  FROM destination d, scope s, agent_grant g
  WHERE d.name = of_destination AND s.destination = of_destination AND s.name = of_scope AND g.name = of_grant
$$;

-- Whether a row still means something: its time is not over, nothing that it rests on was changed, and nobody it is about
-- was stopped after it was asked for, not even for a while.
CREATE FUNCTION approval_stands(a approval) RETURNS boolean
  LANGUAGE sql SET search_path = ${flyway:defaultSchema}, pg_temp AS $$
  SELECT a.expires_at > clock_timestamp()
    AND coalesce(a.terms = approval_terms(a.destination, a.scope, a.grant_name), false)
    AND NOT EXISTS (
      SELECT FROM stop s
      JOIN (VALUES ('everything', ''), ('agent', a.agent), ('destination', a.destination), ('issuer', a.issuer),
                   ('token', a.jti)) AS about (kind, name) ON s.target_kind = about.kind AND s.target = about.name
      WHERE s.epoch > a.epoch)
$$;

REVOKE ALL ON FUNCTION approval_terms(text, text, text), approval_stands(approval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION approval_terms(text, text, text), approval_stands(approval) TO ${appRole};

-- The application asks, decides and ends; it cannot rewrite who asked for what.
GRANT SELECT, INSERT, DELETE ON approval TO ${appRole};
GRANT UPDATE (state, fields, body, expires_at, decided_by, decided_at, reason, ended_at) ON approval TO ${appRole};
