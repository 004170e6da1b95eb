-- Dynamic credentials that were handed to agents: enough to take each of them back, and no secret. The owner token of a
-- lease is known by its accessor only, which can end the token and not use it.

CREATE TABLE lease (
  id               uuid PRIMARY KEY,
  state            text NOT NULL
                   CHECK (state IN ('intent', 'open', 'active', 'revoke_pending', 'irrevocable', 'revoked')),

  -- Whose it is, and under which decision. The epoch is that of the decision: a later stop of the target ends the lease.
  agent            text NOT NULL,
  issuer           text NOT NULL,
  subject          text NOT NULL,
  jti              text,
  epoch            bigint NOT NULL,
  destination      text NOT NULL,
  scope            text NOT NULL,
  -- A hash: what the caller sends may be anything.
  idempotency_key  text NOT NULL,

  -- What it is in Vault.
  engine           text NOT NULL,
  mount            text NOT NULL,
  role             text NOT NULL,
  fixed            boolean NOT NULL,
  token_accessor   text,
  vault_lease_id   text,
  -- Whether the call that makes the credential is over and what it made is recorded. Vault keeps a credential whose owner
  -- token ends while it is being made, so until then the token is left alone.
  settled          boolean NOT NULL DEFAULT false,
  renewable        boolean NOT NULL DEFAULT false,
  revocable        boolean NOT NULL DEFAULT true,

  created_at       timestamptz NOT NULL DEFAULT now(),
  -- Until this moment an intent or an open lease may become active; after it, it was abandoned.
  deadline         timestamptz NOT NULL,
  expires_at       timestamptz,
  max_expires_at   timestamptz NOT NULL,

  -- Taking it back.
  revoke_at        timestamptz,
  revoke_reason    text,
  attempts         int NOT NULL DEFAULT 0,
  next_attempt_at  timestamptz,
  last_error       text,
  ended_at         timestamptz,

  CHECK (state NOT IN ('active') OR expires_at IS NOT NULL),
  CHECK ((state = 'revoked') = (ended_at IS NOT NULL)),
  CHECK (state NOT IN ('revoke_pending', 'irrevocable') OR (revoke_at IS NOT NULL AND next_attempt_at IS NOT NULL))
);
-- One live lease for a key: asking again with it replaces the lease.
CREATE UNIQUE INDEX lease_key ON lease (agent, idempotency_key) WHERE state IN ('intent', 'open', 'active');
CREATE INDEX lease_out ON lease (agent, destination, scope) WHERE state <> 'revoked';
CREATE INDEX lease_source ON lease (engine, mount, role) WHERE state <> 'revoked';
CREATE INDEX lease_to_expire ON lease (expires_at) WHERE state = 'active';
CREATE INDEX lease_to_revoke ON lease (next_attempt_at) WHERE state IN ('revoke_pending', 'irrevocable');
CREATE INDEX lease_ended ON lease (ended_at) WHERE state = 'revoked';
CREATE INDEX lease_newest ON lease (created_at DESC, id);

GRANT SELECT, INSERT, UPDATE, DELETE ON lease TO ${appRole};
