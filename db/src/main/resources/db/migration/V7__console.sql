-- What the console needs: who is signed in, and what goes on at all gateways together.

-- The cookie is not here, only its hash: whoever reads this table cannot sign in by it.
CREATE TABLE console_session (
  id_hash      bytea PRIMARY KEY,
  name         text NOT NULL,
  roles        text NOT NULL,
  via          text NOT NULL CHECK (via IN ('oidc', 'bootstrap')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  ends_at      timestamptz NOT NULL
);
CREATE INDEX console_session_ends_at ON console_session (ends_at);

-- How many exchanges are open at a gateway, for each agent and destination that has any. Rows of a gateway that does
-- not report any more mean nothing.
CREATE TABLE open_exchange (
  gateway      uuid NOT NULL,
  agent        text NOT NULL,
  destination  text NOT NULL,
  exchanges    bigint NOT NULL CHECK (exchanges > 0),
  reported_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (gateway, agent, destination)
);
CREATE INDEX open_exchange_agent ON open_exchange (agent);

-- When an agent's requests were last let through to a destination, to within a minute.
CREATE TABLE last_use (
  agent        text NOT NULL,
  destination  text NOT NULL,
  used_at      timestamptz NOT NULL,
  PRIMARY KEY (agent, destination)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON console_session, open_exchange, last_use TO ${appRole};
