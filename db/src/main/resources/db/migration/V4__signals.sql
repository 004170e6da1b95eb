-- Signals from runtime sensors and from identity providers: the rules that judge them, how a pod is found, and what came.

CREATE TABLE signal_rule (
  name        text PRIMARY KEY,
  spec        jsonb NOT NULL,
  version     bigint NOT NULL,
  managed_by  text,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now()
);

-- Which pod got tokens as which agent: sensors know pods and not identities. Written once for each pod and replica and
-- again every few hours, never while a token waits.
CREATE TABLE pod_seen (
  issuer      text NOT NULL,
  pod_uid     text NOT NULL,
  namespace   text NOT NULL,
  pod_name    text NOT NULL,
  subject     text NOT NULL,
  agent       text NOT NULL,
  seen_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (issuer, pod_uid)
);
CREATE INDEX pod_seen_name ON pod_seen (issuer, namespace, pod_name);
CREATE INDEX pod_seen_at ON pod_seen (seen_at);

-- The timeline. It holds names and a few words of fixed vocabularies, never the text of an event: command lines hold secrets.
CREATE TABLE signal (
  id           uuid PRIMARY KEY,
  received_at  timestamptz NOT NULL,
  occurred_at  timestamptz,
  source       text NOT NULL CHECK (source IN ('falco', 'tetragon', 'ssf')),
  sender       text NOT NULL,
  issuer       text,
  agent        text,
  action       text NOT NULL CHECK (action IN ('marked', 'stopped', 'unmapped')),
  signal_rule  text,
  stop_id      uuid,
  facts        jsonb NOT NULL DEFAULT '{}',
  CHECK ((agent IS NULL) = (action = 'unmapped'))
);
CREATE INDEX signal_received ON signal (received_at, id);
CREATE INDEX signal_agent ON signal (agent, received_at, id) WHERE agent IS NOT NULL;
CREATE INDEX signal_unmapped ON signal (received_at, id) WHERE agent IS NULL;

CREATE INDEX signal_judged_again ON signal ((facts->>'first_received_as')) WHERE facts->>'first_received_as' IS NOT NULL;

-- What ordered a stop that may be in force only once however often it is asked for; null for stops that people order.
ALTER TABLE stop ADD COLUMN cause text;
CREATE UNIQUE INDEX stop_cause_in_force ON stop (cause) WHERE ended_at IS NULL AND cause IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON signal_rule, pod_seen TO ${appRole};
GRANT SELECT, INSERT, DELETE ON signal TO ${appRole};
